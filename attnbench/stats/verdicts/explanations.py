"""What each code of a verdict means, and what to do: ``attnbench explain CODE``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from attnbench.stats.interval import FEWEST
from attnbench.stats.verdicts import reasons


@dataclass(frozen=True)
class Reason:
    """What a code means, and what to do about it."""

    means: str
    advice: str


REASONS: Mapping[str, Reason] = {
    reasons.SLOWER: Reason(
        "The 95% interval of the ratio lies above 1: the module costs time, or costs more than "
        "before.",
        "Read how much from the interval, not from its middle alone.",
    ),
    reasons.FASTER: Reason(
        "The 95% interval of the ratio lies below 1.",
        "A module that makes a network faster is rare: look whether it replaces work of the host, "
        "or whether the two networks differ in more than the module.",
    ),
    reasons.TIE: Reason(
        "The 95% interval of the ratio holds 1: these rounds and runs cannot tell the two apart. "
        "It is no proof that they are equal; the interval says how far apart they may be.",
        "More runs at other times (--repeat) make the interval narrower, and so do more rounds "
        "(--budget).",
    ),
    reasons.WITHIN: Reason("The whole 95% interval lies within the limit.", "Nothing."),
    reasons.OVER: Reason(
        "The whole 95% interval lies beyond the limit.",
        "Choose another module or place it in fewer blocks; attnbench pick lists those within.",
    ),
    reasons.UNDECIDED: Reason(
        "The 95% interval holds the limit: the figure may be on either side of it.",
        "More runs at other times (--repeat) make the interval narrower, and so do more rounds "
        "(--budget).",
    ),
    reasons.UNTIMED: Reason(
        "The module was not timed: it failed, or was left out, or is on one side of a comparison "
        "only.",
        "The run's tables and its records name the error.",
    ),
    reasons.FEW_ROUNDS: Reason(
        f"Fewer than {FEWEST} rounds were timed: there is no 95% interval of a median.",
        "Raise --budget, or measure fewer modules, a smaller image or a smaller batch.",
    ),
    reasons.NOISY: Reason(
        "The 95% interval of the control, the plain host against itself, is wider than twice the "
        "target: a difference of the target's size could not be seen.",
        "Quiet the machine (attnbench doctor says what disturbs it), or raise --budget.",
    ),
    reasons.CONTROL: Reason(
        "The control failed: the plain host against itself is significantly different from 1, so "
        "any other ratio of this run may be off by as much.",
        "Measure again, best on a quieter machine; where it fails again, attnbench selftest says "
        "whether this machine can be measured at all.",
    ),
    reasons.SHARED: Reason(
        "The control failed, and another process of the suite measured, trained or evaluated "
        "beside most rounds.",
        "Measure without --share: a run waits for the end of another. A training on a GPU of the "
        "machine is not waited for by runs elsewhere on it; let it end.",
    ),
    reasons.DISTURBED: Reason(
        "The control failed, and in most rounds other programs, the hypervisor or a suspended "
        "machine took more than a tenth of the time.",
        "End other programs, or measure at another time; attnbench doctor names them.",
    ),
    reasons.THROTTLED: Reason(
        "The control failed, and in most rounds the device ran slower than it can, because of "
        "heat or power.",
        "Cool it, lock its clock, or raise its power limit.",
    ),
    reasons.SLOWER_IN_RUN: Reason(
        "The 95% interval of the ratio within this run lies above 1, but not the one that also "
        "covers the variation between runs: another run may show no difference.",
        "Repeat the run at other times (--repeat) before you rely on it.",
    ),
    reasons.FASTER_IN_RUN: Reason(
        "The 95% interval of the ratio within this run lies below 1, but not the one that also "
        "covers the variation between runs.",
        "Repeat the run at other times (--repeat) before you rely on it.",
    ),
    reasons.FIRST: Reason(
        "The first run of a history, or the first with a ratio: there is none before it to compare "
        "it with.",
        "Nothing.",
    ),
    reasons.UNCOUNTED: Reason(
        "The figure is not known: it could not be counted, or not as a whole, or is not in the "
        "records.",
        "The line beside it, the run's tables or its records say what was not counted.",
    ),
    reasons.UNEXECUTED: Reason(
        "The network cannot be exported, or the runtime does not execute it, or computes something "
        "else.",
        "The line beside it says where it failed; attnbench export shows the whole error.",
    ),
    reasons.REFUSED: Reason(
        "The module cannot be measured as it is, or does not fit into the host, or to this part of "
        "it.",
        "The line beside it says why, and what would do.",
    ),
    reasons.REPRODUCED: Reason("The figure rounds to the published one.", "Nothing."),
    reasons.EXPLAINED: Reason(
        "The figure does not round to the published one, but that of another rule of counting, "
        "which is named, does.",
        "Compare the published figure with others of its own rule only.",
    ),
    reasons.CONTRADICTED: Reason(
        "No rule of counting that is known gives the published figure.",
        "docs/claims.md says what is known of it.",
    ),
    reasons.NOT_REFUTED: Reason(
        "What contradicts the published figure, a head that the network lacks, is not so here.",
        "Look at the entry in attnbench/claims/claims.toml: it says what was found.",
    ),
    reasons.PINNED: Reason(
        "The exact figure is the one that is stored with the suite, or may differ, as another "
        "torch runs.",
        "Nothing.",
    ),
    reasons.CHANGED: Reason(
        "An exact figure of a module is not the one that is stored with the suite.",
        "Where no change of the module was meant, it is a fault; else make pins stores it anew.",
    ),
    reasons.HELPS: Reason(
        "The 95% interval of the gain over the plain host at equal training lies above 0.",
        "Read how much from the interval. It is of this data, recipe and network.",
    ),
    reasons.HARMS: Reason(
        "The 95% interval of the gain over the plain host at equal training lies below 0.",
        "It is of this data, recipe and network.",
    ),
    reasons.NO_GAIN: Reason(
        "The 95% interval of the gain holds 0: these seeds cannot tell the module from the plain "
        "host. It is no proof that it does not help.",
        "More seeds make the interval narrower; the table says how many would.",
    ),
    reasons.FEW_SEEDS: Reason(
        "Fewer than two seeds have trained both networks to the end, or all differ by exactly the "
        "same: there is no interval.",
        "Train with more seeds: --seeds.",
    ),
    reasons.SEEDS_DIFFER: Reason(
        "The plain host with other seeds is significantly different from itself, so a gain may be "
        "one of seeds.",
        "Train with more seeds: --seeds.",
    ),
    reasons.AGREES: Reason(
        "The published accuracy does not round to the measured one, but lies within its 95% "
        "interval: as many other images could have given it.",
        "Look for small differences of the images: their resize, crop and decoder.",
    ),
    reasons.DIFFERS: Reason(
        "The published accuracy lies beyond the 95% interval of the measured one.",
        "Look whether these are the published weights, and how their images were prepared.",
    ),
    reasons.ORIENTATION: Reason(
        "The published accuracy is of other images, or of another size of them: the two cannot "
        "agree or differ.",
        "Evaluate on ImageNet's validation set of 50,000 images, at 224x224.",
    ),
    reasons.UNPUBLISHED: Reason(
        "No source that is known prints this accuracy of this network.",
        "Nothing.",
    ),
    "same": Reason(
        "On equal weights both modules give the same output, up to rounding in float64.",
        "Nothing. Their operators, and so their cost, may differ all the same.",
    ),
    "different": Reason(
        "On equal weights the outputs of the two modules differ by more than rounding can.",
        "Look at the operators of which one runs more; where tensors were paired wrongly, --map "
        "A=B names the pair.",
    ),
    "incomparable": Reason(
        "The two modules cannot be given equal weights, or their outputs cannot be compared.",
        "The line beside it says why; --map A=B names a tensor's counterpart.",
    ),
    "taken": Reason(
        "A module stands here by default.",
        "Nothing; --at or --replace choose other places.",
    ),
    "good": Reason("Nothing was found here that would disturb a run.", "Nothing."),
    "note": Reason(
        "A setting that can disturb a run, or limits what it can measure; most runs hold all the "
        "same.",
        "The line beside it says what would do.",
    ),
    "warning": Reason(
        "It would disturb a run as things are: expect wide intervals, or a control that fails.",
        "Do first what the line beside it says.",
    ),
    "unknown": Reason(
        "The system does not state it.",
        "Nothing; the control and the flags of a run show what disturbed it.",
    ),
    reasons.CALIBRATED: Reason(
        "Enough intervals hold the known ratio, and enough planted slowdowns are found.",
        "Nothing.",
    ),
    reasons.OVERCONFIDENT: Reason(
        "Too few of the 95% intervals hold the known ratio: here they promise more than they keep.",
        "Try again on a quieter machine; of a simulated machine it is a fault of the suite.",
    ),
    reasons.MISSED: Reason(
        "Too few of the simulated runs find a slowdown that was planted.",
        "It is a fault of the suite: say so, with its version.",
    ),
    reasons.BLIND: Reason(
        "Too few real runs find a planted slowdown of 5%: this machine is too busy for a verdict.",
        "Stop other programs and try again; attnbench doctor names them.",
    ),
    reasons.CRASHED: Reason(
        "An error ended a real run of the self-test, so that it says nothing.",
        "The line beside it names the error; where it is no lack of memory or time, it is a fault "
        "of the suite: say so, with its version.",
    ),
    reasons.REACHED: Reason(
        "A mix of rounds, processes and runs is expected to know every ratio to the half-width.",
        "Use the options beside it.",
    ),
    reasons.UNREACHED: Reason(
        "No mix of rounds, processes and runs that was looked at is expected to know every ratio "
        "to the half-width: what scatters between processes or runs here is too much for it.",
        "Quiet the machine (attnbench doctor says what disturbs it), or ask for less with --to.",
    ),
}
"""In the order in which documents list them."""
