"""The plain host's latency in one runtime over that in another, of rounds that both ran in.

Each round gives a sample, as within a run, so what slows the whole machine cancels: a quotient of
the two medians would have all of it. Its interval is that of any ratio (``stats.ratios``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from attnbench.records.schema import Block, Round
from attnbench.records.variants import PLAIN
from attnbench.stats import ratios
from attnbench.stats.interval import Interval

OTHER = "in the other runtime"


def ratio(rounds: Sequence[Round], others: Sequence[Round]) -> Interval | None:
    """Return the plain host's latency in the ``others`` over that in the ``rounds`` of another run.

    None where no round of the one is one of the other's.
    """
    return ratios.ratio(paired(rounds, others), OTHER)


def paired(rounds: Sequence[Round], others: Sequence[Round]) -> list[Round]:
    """Return the rounds that both ran in, with the other's plain host as a further variant."""
    known = {timed.together: timed for timed in others if timed.together is not None}
    return [
        replace(timed, blocks=(*timed.blocks, replace(block, variant=OTHER)))
        for timed in rounds
        if timed.together in known and (block := _plain(known[timed.together])) is not None
    ]


def _plain(timed: Round) -> Block | None:
    return next((block for block in timed.blocks if block.variant == PLAIN), None)
