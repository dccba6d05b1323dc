"""The sentences above and below a run's tables: machine, control, what was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from attnbench import formatting
from attnbench.formatting import joined, title
from attnbench.records.run import Run
from attnbench.records.schema import Case, Environment
from attnbench.records.variants import PLAIN, STAGES, IsolatedModule, piece
from attnbench.report.tables.dataframe import control_fault
from attnbench.stats import ratios

_TO_THE_HEADS = "backbone, feature pyramid, heads over all levels"


FIXED_WORK = {
    "fasterrcnn": f"{_TO_THE_HEADS}, the box head on 1000 proposals an image",
    "maskrcnn": (
        f"{_TO_THE_HEADS}, the box head on 1000 proposals an image, the mask branch on 100"
    ),
    "retinanet": _TO_THE_HEADS,
}
"""What a detector does here, by the family that its host's name begins with."""


NO_PART_OF_IT = "Resizing, decoding, thresholds and non-maximum suppression are not in it."


def uncounted(run: Run) -> list[str]:
    """What each rule left at zero in a module, beyond what it leaves in the plain host."""
    said = []
    plain = run.counts.get(PLAIN, {})
    for variant in run.modules:
        for rule, found in run.counts.get(variant, {}).items():
            base = plain[rule].not_counted if rule in plain else None
            more = Counter(found.not_counted or {}) - Counter(base or {})
            if more:
                listed = ", ".join(f"{name} x{times}" for name, times in sorted(more.items()))
                said.append(f"{title(variant)} by {rule}: {listed}.")
    return said


FAILED = "; the control failed: no verdicts"
"""What stands behind the setting of everything measured where the control does not hold."""


def warning(run: Run) -> str:
    """What stands above everything measured where the control does not hold; else nothing."""
    return "" if control_fault(run) is None else FAILED


def machine(case: Case, environment: Environment) -> str:
    """Where it ran, in one line."""
    name = environment.get("gpu") or environment.get("cpu")
    return (
        f"{name}, {case.threads} threads, torch {environment.get('torch')}, "
        f"Python {environment.get('python')}, {environment.get('time')}"
    )


def remarks(run: Run) -> list[str]:
    """What must be known before a figure is believed: rounds, control, disturbance, failures."""
    said = [_rounds(run), control(run), *_disturbed(run), *_reservations(run.case)]
    said += [f"The code of {title(name)}: {origin}." for name, origin in run.plan.sources.items()]
    return [*said, *_failed(run)]


def _failed(run: Run) -> list[str]:
    """What failed, each error once with all that it befell."""
    alike: dict[str, list[str]] = {}
    for variant, steps in run.failures.items():
        for step, failure in steps.items():
            error = f"{step}: {failure.type}: {_one_line(failure.message)}"
            alike.setdefault(error, []).append(variant)
    return [
        f"{joined(_titles(run, variants))} failed at {error}." for error, variants in alike.items()
    ]


def _titles(run: Run, variants: Sequence[str]) -> list[str]:
    """What tables call them; a module alone that is there at every stage is called once."""
    if not run.case.isolated:
        return [title(variant) for variant in variants]
    whole = [
        module
        for module in run.modules
        if {IsolatedModule(module, stage).name for stage in STAGES} <= set(variants)
    ]
    found = ((variant, piece(variant)) for variant in variants)
    named = (
        title(each.module) if each is not None and each.module in whole else title(variant)
        for variant, each in found
    )
    return list(dict.fromkeys(named))


def _rounds(run: Run) -> str:
    count = f"{len(run.rounds)} interleaved rounds in {formatting.seconds(run.timed_s)}"
    if run.end is None:
        return f"{count}; the run is not finished."
    ends = {
        "target": f"every interval reached ±{formatting.percent(run.plan.target)}",
        "budget": f"the budget of {formatting.seconds(run.plan.budget_s)} was spent",
        "failed": f"then it failed: {_one_line(run.end.message or 'the baseline did')}",
    }
    return f"{count}; {ends[run.end.reason]}."


def _rounds_of(count: int) -> str:
    return f"{count} round{'' if count == 1 else 's'}"


def _one_line(message: str) -> str:
    return " ".join(message.split())


def control(run: Run) -> str:
    """Whether the control holds, with its figure."""
    baseline = run.plan.baseline
    found = ratios.ratio(run.rounds, run.plan.control, baseline=baseline)
    figure = f"Control ({baseline} against {baseline}): {formatting.ratio(found)}"
    why = control_fault(run)
    if why is None:
        return f"{figure}; it holds."
    if run.case.isolated:
        return f"{figure}. THE CONTROL FAILED; bounds rest on their own intervals: {why}."
    return f"{figure}. THE CONTROL FAILED, so no verdicts are given: {why}."


def _reservations(case: Case) -> list[str]:
    """What the counted figures do not speak of here (``attnbench.counting.dispatch``)."""
    said = [] if case.isolated else _of_networks(case)
    if case.device == "cuda" and case.dtype == "float32":
        said.append("Convolutions may use TF32 within float32, as is PyTorch's default.")
    return said


def _of_networks(case: Case) -> list[str]:
    said = []
    work = FIXED_WORK.get(case.host.partition("_resnet")[0])
    if work is not None:
        said.append(f"Fixed work, the same for every variant: {work}. {NO_PART_OF_IT}")
    if case.compiled:
        said.append("Counts, kernels and live peaks are those of the eager networks.")
    return said


def _disturbed(run: Run) -> list[str]:
    """Rounds that something kept from their work, and what the GPU's driver said meanwhile."""
    said = []
    flagged = ratios.flags(run.rounds)
    if flagged:
        listed = ", ".join(f"{count} {name}" for name, count in flagged.items())
        said.append(f"Rounds flagged, none dropped: {listed}.")
    throttles = Counter(
        str(each["gpu_throttle"]) for each in run.moments if each.get("gpu_throttle")
    )
    said += [f"The GPU was throttled after {_rounds_of(n)}: {why}." for why, n in throttles.items()]
    foreign = sum(bool(each.get("gpu_other_processes")) for each in run.moments)
    if foreign:
        said.append(f"WARNING: after {_rounds_of(foreign)} other processes were on the GPU.")
    clocks = [mhz for each in run.moments if isinstance(mhz := each.get("gpu_clock_mhz"), int)]
    if clocks:
        said.append(f"The GPU's clock was at {min(clocks)} to {max(clocks)} MHz after the rounds.")
    return said
