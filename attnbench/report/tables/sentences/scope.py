"""What a run's counted figures are of, and what they leave out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from attnbench.formatting import counted, joined, title
from attnbench.records.case import FULL_BITS, RUNTIMES
from attnbench.records.device import kind_of
from attnbench.records.run import Run
from attnbench.records.variants import PLAIN, STAGES, IsolatedModule
from attnbench.report.unknown_operators import AT_LEAST, beyond_plain, unknown, written
from attnbench.text import printable

_TO_THE_HEADS = "backbone, feature pyramid, heads over all levels"

_BOX_HEAD = "the box head on 1000 proposals an image"

_ONE_STAGE = "backbone, heads over all levels"

FIXED_WORK = {
    "fasterrcnn": f"{_TO_THE_HEADS}, {_BOX_HEAD}",
    "maskrcnn": f"{_TO_THE_HEADS}, {_BOX_HEAD}, the mask branch on 100",
    "keypointrcnn": f"{_TO_THE_HEADS}, {_BOX_HEAD}, the keypoint branch on 100",
    "retinanet": _TO_THE_HEADS,
    "fcos": _TO_THE_HEADS,
    "ssd300": _ONE_STAGE,
    "ssdlite320": _ONE_STAGE,
}
"""What a detector does here, by the family that its host's name begins with."""

NOT_MEASURED = "Resizing, decoding, thresholds and non-maximum suppression are not included."


def uncounted(run: Run) -> list[str]:
    """Return what each rule left at zero in a module, beyond what it leaves in the plain host."""
    lines = []
    plain = run.counts.get(PLAIN, {})
    for variant in run.modules:
        for rule, count in run.counts.get(variant, {}).items():
            base = plain[rule].not_counted if rule in plain else None
            more = Counter(count.not_counted or {}) - Counter(base or {})
            if more:
                listed = ", ".join(f"{name} x{times}" for name, times in sorted(more.items()))
                lines.append(f"{title(variant)} by {rule}: {listed}.")
    return lines


def limits(run: Run) -> list[str]:
    """Return what the counted figures do not cover here (``attnbench.counting.dispatch``)."""
    case, rocm = run.case, run.environment.get("hip") is not None
    work = FIXED_WORK.get(case.host.partition("_")[0])
    of_networks = {
        f"Fixed work, the same for every variant: {work}. {NOT_MEASURED}": work,
        "Counts, kernels and activation memory are those of the eager networks.": case.compiled,
        f"Weights are in float32, and torch casts to {case.autocast} what suits it (autocast), "
        "weights anew in every step. Counts, bytes and activation memory hold these casts, by the "
        "operators that torch casts on a CPU.": bool(case.autocast),
        "Counts leave out the gradient scaler.": (
            case.autocast == "float16" and case.mode == "training"
        ),
        "Counts and kernels are those of the eager networks in float32. A runtime's own memory is "
        "not measured.": case.exported,
    }
    cuda = kind_of(case.device) == "cuda"
    of_any = {
        "Convolutions may use TF32 within float32, PyTorch's default.": (
            cuda and not rocm and case.dtype == "float32"
        ),
        "cuDNN's benchmark was on: each process may have chosen other algorithms.": (
            case.cudnn_benchmark
        ),
        f"This GPU is AMD's: torch for ROCm {run.environment.get('hip')}, with MIOpen in the place "
        "of cuDNN.": rocm,
    }
    limits = of_any if case.isolated else of_networks | of_any
    return [sentence for sentence, applies in limits.items() if applies]


def sites(run: Run) -> list[str]:
    """Return at how many sites each module stands, where these are not as many for all."""
    modules: dict[int, list[str]] = {}
    for name, number in run.plan.sites.items():
        modules.setdefault(number, []).append(title(name))
    if len(modules) < 2:  # noqa: PLR2004  nothing to tell apart
        return []
    listed = joined(
        f"{joined(names)} at {counted(number, 'site')}" for number, names in modules.items()
    )
    return [f"Modules stand at different numbers of sites of the host: {listed}."]


def executed_by(run: Run) -> list[str]:
    """Return the settings of a runtime that executes files, as it states them; int8's images."""
    if not run.export:
        return []
    name, facts = RUNTIMES[run.case.runtime], next(iter(run.export.values())).settings
    version = run.environment.get(run.case.runtime)
    stated = ", ".join(f"{key} {value}" for key, value in facts.items() if key not in OF_INT8)
    sentences = [f"{name} {version} states these settings: {printable(stated)}."]
    if CALIBRATION in facts:
        ranges = printable(str(facts[CALIBRATION]))
        sentences.append(f"int8 is calibrated on {ranges}{narrow_weights(facts)}.")
    return sentences


CALIBRATION, WEIGHT_BITS = OF_INT8 = ("calibration", "weight_bits")
"""Beside a runtime's settings in the record, and none of them: of the int8 file."""


def narrow_weights(facts: Mapping[str, object]) -> str:
    """Return, as the end of a sentence, that weights have fewer bits than 8; nothing if not so."""
    bits = facts.get(WEIGHT_BITS, FULL_BITS)
    if bits == FULL_BITS:
        return ""
    return f", with weights of {bits} bits: the CPU would cut off sums of products of {FULL_BITS}"


def computed(run: Run) -> list[str]:
    """Return which variants' counts hold for one input alone, and why."""
    return [
        f"The counts of {title(variant)} are those of one forward with the seed's input, on which "
        f"its operators may depend: {printable(reason)}."
        for variant, rules in run.counts.items()
        if (reason := next(filter(None, (count.computed for count in rules.values())), None))
    ]


def unknown_operators(run: Run) -> list[str]:
    """Return which operators of a module no table knows: its counts are too low by them."""
    lines = []
    for module in run.modules:
        pieces = [IsolatedModule(module, stage).name for stage in STAGES]
        more = beyond_plain(run, module)
        for piece in pieces if run.case.isolated else ():
            more |= unknown(run, piece)
        if more:
            lines.append(
                f"{title(module)} is not fully counted, so its kernels and memory traffic are "
                f"too low, and other counts may be (marked {AT_LEAST}): {written(more)}."
            )
    if of_host := unknown(run, PLAIN):
        lines.append(
            "The host runs operators that no table knows, so what is marked "
            f"{AT_LEAST} may be larger: {written(of_host)}."
        )
    return lines
