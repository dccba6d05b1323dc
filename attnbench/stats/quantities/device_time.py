"""The device's own times within rounds, and whether it waited for the host that issues its work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from attnbench.records.schema import Block, Round

WAITS = 0.9
"""Where issuing takes more than this share of a block's seconds, the device waited for the host."""


def device_rounds(rounds: Sequence[Round]) -> list[Round]:
    """Return the same rounds with the device's own times in the place of those that users have.

    A block without one is left out, so that ``stats.ratios`` and all that rests on it apply.
    """
    return [
        replace(timed, blocks=tuple(map(_of_device, filter(has_device_time, timed.blocks))))
        for timed in rounds
    ]


def has_device_time(block: Block) -> bool:
    """Return whether a block has the device's own time beside its seconds."""
    return block.device is not None


def _of_device(block: Block) -> Block:
    assert block.device is not None
    own = block.device
    return Block(variant=block.variant, steps=own.steps, seconds=own.seconds, each_s=own.each_s)


def has_device_times(rounds: Sequence[Round]) -> bool:
    """Return whether any block has the device's own time."""
    return any(has_device_time(block) for timed in rounds for block in timed.blocks)


def issued_share(rounds: Sequence[Round], variant: str) -> float | None:
    """Return the median share of its seconds in which a variant's steps were issued, at most 1.

    None where work is done when its call returns.
    """
    shares = [
        min(1.0, block.issued_s / block.seconds)
        for timed in rounds
        for block in timed.blocks
        if block.variant == variant and block.issued_s is not None
    ]
    return median(shares) if shares else None


def waited(rounds: Sequence[Round], variant: str) -> bool:
    """Return whether the device waited for the host that issued the variant's steps."""
    share = issued_share(rounds, variant)
    return share is not None and share > WAITS
