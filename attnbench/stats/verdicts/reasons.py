"""The codes of verdicts: short words that stay where a verdict's own words change."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from attnbench.records.schema import Round
from attnbench.stats import ratios
from attnbench.stats.interval import Interval

SLOWER, FASTER, TIE = "slower", "faster", "tie"
WITHIN, OVER, UNDECIDED = "within", "over", "undecided"
UNTIMED, FEW_ROUNDS, NOISY, CONTROL = "untimed", "few-rounds", "noisy", "control"
SHARED, DISTURBED, THROTTLED = "shared", "disturbed", "throttled"
SLOWER_IN_RUN, FASTER_IN_RUN, FIRST = "slower-in-run", "faster-in-run", "first"
UNCOUNTED, UNEXECUTED, REFUSED = "uncounted", "unexecuted", "refused"
REPRODUCED, EXPLAINED, CONTRADICTED = "reproduced", "explained", "contradicted"
PINNED, CHANGED, NOT_REFUTED = "pinned", "changed", "not-refuted"
HELPS, HARMS, NO_GAIN, FEW_SEEDS = "helps", "harms", "no-gain", "few-seeds"
SEEDS_DIFFER = "seeds-differ"
CALIBRATED, OVERCONFIDENT, MISSED, BLIND = "calibrated", "overconfident", "missed", "blind"
CRASHED, REACHED, UNREACHED = "crashed", "reached", "unreached"
AGREES, DIFFERS = "agrees", "differs"
ORIENTATION, UNPUBLISHED = "orientation", "unpublished"
"""Each is explained in ``explanations.py``, as are those of rooms that do not import this one."""


def of_ratio(interval: Interval) -> str:
    """Return the code of a ratio whose control holds."""
    if not interval.excludes_one:
        return TIE
    return SLOWER if interval.low > 1 else FASTER


def of_run(within: Interval, between: Interval) -> str:
    """Return the code of a ratio by its interval of any run, else by that of its own run alone."""
    if within.excludes_one and not between.excludes_one:
        return SLOWER_IN_RUN if within.low > 1 else FASTER_IN_RUN
    return of_ratio(between)


def of_control(
    control: Interval | None, target: float, rounds: Sequence[Round], throttled: int = 0
) -> str | None:
    """Return the code of a control that does not hold; None where it does.

    What most rounds were flagged for stands before what the control itself shows, as it says what
    to do. ``throttled``: rounds in which a device ran slower because of heat or power.
    """
    if ratios.fault(control, target) is None:
        return None
    if control is None or control.half_width == inf:
        return FEW_ROUNDS
    flags = ratios.flags(rounds)
    most = len(rounds) / 2
    if flags.get(ratios.SHARED, 0) > most:
        return SHARED
    if throttled > most:
        return THROTTLED
    if any(flags.get(flag, 0) > most for flag in ratios.FLAGS):
        return DISTURBED
    return CONTROL if control.excludes_one else NOISY
