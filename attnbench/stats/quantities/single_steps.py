"""Percentiles of single steps: what a user waits for, where a median hides the slow ones."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from attnbench.records.schema import Round

PERCENTILES = (50, 90, 99)
ALL = 100


def seconds_of_steps(rounds: Sequence[Round], variant: str) -> list[float]:
    """Return the seconds of all single steps of a variant that are known.

    Those of a block of one step are its own; records before each step was timed have these alone.
    """
    return [
        seconds
        for timed in rounds
        for block in timed.blocks
        if block.variant == variant and (block.each_s or block.steps == 1)
        for seconds in block.each_s or (block.seconds,)
    ]


def percentile(samples: Sequence[float], share: int) -> float | None:
    """Return the least sample that at least ``share`` percent of all do not exceed (nearest rank).

    None where so few are known that it would be the largest: below 100 for the 99th.
    """
    beyond = len(samples) * (ALL - share) // ALL
    return None if beyond < 1 else sorted(samples)[ceil(share * len(samples) / ALL) - 1]
