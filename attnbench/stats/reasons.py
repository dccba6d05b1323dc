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
SLOWER_IN_RUN, FASTER_IN_RUN, FIRST = "slower-in-run", "faster-in-run", "first"
UNCOUNTED, UNEXECUTED, REFUSED = "uncounted", "unexecuted", "refused"
REPRODUCED, EXPLAINED, CONTRADICTED = "reproduced", "explained", "contradicted"
PINNED, CHANGED, NOT_REFUTED = "pinned", "changed", "not-refuted"
HELPS, HARMS, NO_GAIN, FEW_SEEDS = "helps", "harms", "no-gain", "few-seeds"
SEEDS_DIFFER = "seeds-differ"

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
    SLOWER_IN_RUN: Reason(
        "The 95% interval of the ratio within this run lies above 1, but not the one that also "
        "covers the variation between runs: another run may show no difference.",
        "Repeat the run at other times (--repeat) before you rely on it.",
    ),
    FASTER_IN_RUN: Reason(
        "The 95% interval of the ratio within this run lies below 1, but not the one that also "
        "covers the variation between runs.",
        "Repeat the run at other times (--repeat) before you rely on it.",
    ),
    FIRST: Reason(
        "The first run of a history, or the first with a ratio: there is none before it to compare "
        "it with.",
        "Nothing.",
    ),
    UNCOUNTED: Reason(
        "The figure is not known: it could not be counted, or not as a whole, or is not in the "
        "records.",
        "The line beside it, the run's tables or its records say what was not counted.",
    ),
    UNEXECUTED: Reason(
        "The network cannot be exported, or the runtime does not execute it, or computes something "
        "else.",
        "The line beside it says where it failed; attnbench export shows the whole error.",
    ),
    REFUSED: Reason(
        "The module cannot be measured as it is, or does not fit into the host.",
        "The line beside it says why, and what would do.",
    ),
    REPRODUCED: Reason("The figure rounds to the published one.", "Nothing."),
    EXPLAINED: Reason(
        "The figure does not round to the published one, but that of another rule of counting, "
        "which is named, does.",
        "Compare the published figure with others of its own rule only.",
    ),
    CONTRADICTED: Reason(
        "No rule of counting that is known gives the published figure.",
        "docs/claims.md says what is known of it.",
    ),
    NOT_REFUTED: Reason(
        "What contradicts the published figure, a head that the network lacks, is not so here.",
        "Look at the entry in attnbench/claims/claims.toml: it says what was found.",
    ),
    PINNED: Reason(
        "The exact figure is the one that is stored with the suite, or may differ, as another "
        "torch runs.",
        "Nothing.",
    ),
    CHANGED: Reason(
        "An exact figure of a module is not the one that is stored with the suite.",
        "Where no change of the module was meant, it is a fault; else make pins stores it anew.",
    ),
    HELPS: Reason(
        "The 95% interval of the gain over the plain host at equal training lies above 0.",
        "Read how much from the interval. It is of this data, recipe and network.",
    ),
    HARMS: Reason(
        "The 95% interval of the gain over the plain host at equal training lies below 0.",
        "It is of this data, recipe and network.",
    ),
    NO_GAIN: Reason(
        "The 95% interval of the gain holds 0: these seeds cannot tell the module from the plain "
        "host. It is no proof that it does not help.",
        "More seeds make the interval narrower; the table says how many would.",
    ),
    FEW_SEEDS: Reason(
        "Fewer than two seeds have trained both networks to the end: there is no interval.",
        "Train with more seeds: --seeds.",
    ),
    SEEDS_DIFFER: Reason(
        "The plain host with other seeds is significantly different from itself, so a gain may be "
        "one of seeds.",
        "Train with more seeds: --seeds.",
    ),
}
"""In the order in which documents list them."""


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
    if flags.get("another measurement ran", 0) > most:
        return SHARED
    if throttled > most:
        return THROTTLED
    if any(flags.get(flag, 0) > most for flag in ratios.FLAGS):
        return DISTURBED
    return CONTROL if control.excludes_one else NOISY
