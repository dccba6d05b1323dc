"""Why a verdict is as it is, as a short code that stays; ``attnbench explain CODE`` says more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

from attnbench.records.schema import Round
from attnbench.stats import ratios
from attnbench.stats.interval import FEWEST, Interval


@dataclass(frozen=True)
class Reason:
    """What a code means, and what to do about it."""

    means: str
    advice: str


SLOWER, FASTER, TIE = "slower", "faster", "tie"
WITHIN, OVER, UNDECIDED = "within", "over", "undecided"
UNTIMED, FEW_ROUNDS, NOISY, CONTROL = "untimed", "few-rounds", "noisy", "control"
SHARED, DISTURBED, THROTTLED = "shared", "disturbed", "throttled"

REASONS: Mapping[str, Reason] = {
    SLOWER: Reason(
        "The 95% interval of the ratio lies above 1: the module costs time, or costs more than "
        "before.",
        "Read how much from the interval, not from its middle alone.",
    ),
    FASTER: Reason(
        "The 95% interval of the ratio lies below 1.",
        "A module that makes a network faster is rare: look whether it replaces work of the host, "
        "or whether the two networks differ in more than the module.",
    ),
    TIE: Reason(
        "The 95% interval of the ratio holds 1: these rounds and runs cannot tell the two apart. "
        "It is no proof that they are equal; the interval says how far apart they may be.",
        "More runs at other times (--repeat) make the interval narrower, and so do more rounds "
        "(--budget).",
    ),
    WITHIN: Reason("The whole 95% interval lies within the limit.", "Nothing."),
    OVER: Reason(
        "The whole 95% interval lies beyond the limit.",
        "Choose another module or place it in fewer blocks; attnbench pick lists those within.",
    ),
    UNDECIDED: Reason(
        "The 95% interval holds the limit: the figure may be on either side of it.",
        "More runs at other times (--repeat) make the interval narrower, and so do more rounds "
        "(--budget).",
    ),
    UNTIMED: Reason(
        "The module was not timed: it failed, or was left out, or is on one side of a comparison "
        "only.",
        "The run's tables and its records name the error.",
    ),
    FEW_ROUNDS: Reason(
        f"Fewer than {FEWEST} rounds were timed: there is no 95% interval of a median.",
        "Raise --budget, or measure fewer modules, a smaller image or a smaller batch.",
    ),
    NOISY: Reason(
        "The control, the plain host against itself, is known no better than twice the target: a "
        "difference of that size could not be seen.",
        "Quiet the machine (attnbench doctor says what disturbs it), or raise --budget.",
    ),
    CONTROL: Reason(
        "The control failed: the plain host against itself is significantly different from 1, so "
        "any other ratio of this run may be off by as much.",
        "Measure again, best on a quieter machine; where it fails again, attnbench selftest --real "
        "says whether this machine can be measured at all.",
    ),
    SHARED: Reason(
        "The control failed, and another measurement ran on the same device in most rounds.",
        "Measure without --share: a run waits for the end of another.",
    ),
    DISTURBED: Reason(
        "The control failed, and in most rounds other programs, the hypervisor or a suspended "
        "machine took more than a tenth of the time.",
        "End other programs, or measure at another time; attnbench doctor names them.",
    ),
    THROTTLED: Reason(
        "The control failed, and in most rounds the device ran slower than it can, because of "
        "heat or power.",
        "Cool it, lock its clock, or raise its power limit.",
    ),
}
"""In the order in which documents list them."""


def of_ratio(interval: Interval) -> str:
    """Return the code of a ratio whose control holds."""
    if not interval.excludes_one:
        return TIE
    return SLOWER if interval.low > 1 else FASTER


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
    if flags.get("another measurement ran", 0) > most:
        return SHARED
    if throttled > most:
        return THROTTLED
    if any(flags.get(flag, 0) > most for flag in ratios.FLAGS):
        return DISTURBED
    return CONTROL if control.excludes_one else NOISY
