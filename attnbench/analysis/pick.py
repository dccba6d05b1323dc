"""Which modules are within limits on the machine that was measured, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Literal

from attnbench import formatting
from attnbench.analysis import measured_gains, replicates
from attnbench.claims import published_accuracy
from attnbench.claims.published_accuracy import Recipe
from attnbench.errors import UserError
from attnbench.records import precision
from attnbench.records.case import Case
from attnbench.records.variants import PLAIN
from attnbench.stats import between_runs
from attnbench.stats.gains import Gain
from attnbench.stats.interval import Interval
from attnbench.stats.replicates import Replicates
from attnbench.stats.verdicts import reasons as codes

Answer = Literal["in", "out", "cannot tell"]
ORDER: tuple[Answer, ...] = ("in", "cannot tell", "out")

Judgement = tuple[Answer, str, str]
"""The answer by one limit, the reason unless it is "in", and its code."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The most that a module may cost; None where it does not matter."""

    overhead: float | None = None
    """Latency over the plain host, as a share."""
    added_params: int | None = None
    memory: float | None = None
    """Peak of live bytes of one step over the plain host, as a share."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A module with its figures, the answer, and the reasons where it is not simply in."""

    module: str
    answer: Answer
    code: str
    """Of the answer: that of the limit that decides it, latency first."""
    reasons: tuple[str, ...]
    interval_holds_limit: bool
    """Whether the interval of its latency, and nothing that failed, leaves the answer open."""
    ratio: Interval | None
    """Latency over the plain host's, with the uncertainty of rounds and between runs."""
    added_params: int | None
    memory_ratio: float | None
    top1: float | None
    gain: Gain | None = None
    """Over the plain host at equal training, where the folder holds that."""
    box_ap: float | None = None
    """Of the detector with given weights, from 0 to 1, where the folder holds its evaluation."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The candidates in their order, and what the answer rests on."""

    configuration: str
    runs: int
    limits: Limits
    recipe: Recipe | None
    unlike_published: str | None
    """How the modules' networks differ from those that its top-1 is of."""
    plain_top1: float | None
    candidates: tuple[Candidate, ...]
    between_runs: float
    """Standard deviation of log-ratios between runs, until enough of them show it."""
    remarks: tuple[str, ...] = ()
    """What of the folder was left out, and why."""
    trained: str | None = None
    """The trainings whose gains give the order; None where published accuracies do."""

    def of(self, answer: Answer) -> list[Candidate]:
        """Return the candidates with that answer."""
        return [candidate for candidate in self.candidates if candidate.answer == answer]


def pick(
    folder: Path,
    limits: Limits,
    recipe: str | None = None,
    scatter: float | None = None,
    on: str | None = None,
) -> Choice:
    """Judge every module of a folder's runs by the limits.

    ``recipe`` names the training whose published top-1 gives the order; by default the one with
    most of the modules. ``scatter`` is the standard deviation of log-ratios between runs, until
    enough of them show it; by default that of ``stats.between_runs``. ``on`` names the machine by
    words of its GPU or CPU, where the folder holds runs of several.

    Raises:
        UserError: no limit, no run, several configurations or machines, or an unknown recipe.
    """
    (measured, *others), remarks = replicates.read(folder, on)
    if limits == Limits():
        raise UserError("name a limit: --max-overhead, --max-added-params or --max-memory")
    case, modules = measured.case, measured.modules
    if others:
        described = "; ".join(
            f"{group.case.described} on {replicates.processor(group.runs[0])}"
            for group in (measured, *others)
        )
        raise UserError(f"{folder} holds several configurations, pick from one: {described}")
    assumed = between_runs.ASSUMED if scatter is None else scatter
    chosen = published_accuracy.recipe(case.host, recipe, modules)
    candidates = [_candidate(measured, module, limits, chosen, assumed) for module in modules]
    gains = measured_gains.of(folder, case, modules)
    trained = None
    if gains is not None and gains.control_fault is not None:
        remarks.append(f"gains were measured, and do not give the order: {gains.control_fault}")
    elif gains is not None:
        trained = gains.trainings.training.described
        candidates = [replace(known, gain=gains.gain(known.module)) for known in candidates]
    evaluated = _box_precisions(folder, case, remarks)
    candidates = [replace(known, box_ap=evaluated.get(known.module)) for known in candidates]
    unlike = (published_accuracy.unlike_published(case, module) for module in modules)
    return Choice(
        configuration=case.described,
        runs=len(measured.runs),
        limits=limits,
        recipe=chosen,
        unlike_published=next(unlike, None),
        plain_top1=published_accuracy.top1(chosen, case, PLAIN),
        candidates=tuple(sorted(candidates, key=_place)),
        between_runs=assumed,
        remarks=tuple(remarks),
        trained=trained,
    )


def _box_precisions(folder: Path, case: Case, remarks: list[str]) -> dict[str, float]:
    """Return the box AP of each module's detector on the images of the last file.

    Detectors are evaluated with the module at all of its sites, so there is none for a run with
    fewer; and none of a module of which several files of weights were evaluated.
    """
    if not case.everywhere:
        return {}
    inside = sorted(path for path in folder.iterdir() if path.is_dir())
    known = [
        result
        for place in (folder, *inside)
        for result in precision.read(place)
        if result.host == case.host
    ]
    if not known:
        return {}
    data = known[-1].data
    alike = [result for result in known if result.data.sha256 == data.sha256]
    if len(alike) < len(known):
        remarks.append(
            f"precisions on other images than {data.name} ({data.sha256[:8]}) are not shown"
        )
    weights: dict[str, set[str]] = {}
    for result in alike:
        if result.module is not None:
            weights.setdefault(result.module, set()).add(result.weights.sha256)
    if several := sorted(name for name, files in weights.items() if len(files) > 1):
        remarks.append(
            f"precisions of several files of weights are not shown: {formatting.joined(several)}"
        )
    return {
        result.module: ap
        for result in alike
        if result.module is not None
        and result.module not in several
        and (ap := result.box.get("ap")) is not None
    }


def _place(candidate: Candidate) -> tuple[int, float, float, float]:
    """Return a sort key: the surest first, of these the greatest gain that was measured, then the
    most accurate as published, of equals the fastest."""
    latency = candidate.ratio.median if candidate.ratio else inf
    gain = candidate.gain.gain.median if candidate.gain else -inf
    return ORDER.index(candidate.answer), -gain, -(candidate.top1 or 0), latency


def _candidate(
    measured: Replicates, module: str, limits: Limits, recipe: Recipe | None, scatter: float
) -> Candidate:
    intervals = measured.intervals(module)
    ratio = between_runs.known(intervals, scatter) if intervals else None
    added, memory = _added_params(measured, module), _memory_ratio(measured, module)
    judgements = (
        _by_latency(measured, ratio, limits.overhead),
        _by_value("added parameters", added, limits.added_params, formatting.whole),
        _by_value(
            "activation memory", memory and memory - 1, limits.memory, formatting.stated_percent
        ),
    )
    answer = max((judged for judged, _, _ in judgements), key=ORDER.index)
    reasons = [reason for judged, reason, _ in judgements if judged == answer and reason]
    return Candidate(
        module=module,
        answer=answer,
        code=next(code for judged, _, code in judgements if judged == answer),
        reasons=(*reasons, *_errors(measured, module)),
        interval_holds_limit=answer == "cannot tell"
        and measured.control_fault is None
        and _holds(ratio, limits.overhead),
        ratio=ratio,
        added_params=added,
        memory_ratio=memory,
        top1=published_accuracy.top1(recipe, measured.case, module),
    )


def _by_latency(measured: Replicates, ratio: Interval | None, limit: float | None) -> Judgement:
    if limit is None:
        return "in", "", codes.WITHIN
    if ratio is None:
        return "cannot tell", "it was not timed", codes.UNTIMED
    if measured.control_fault is not None:
        code = measured.control_code or codes.CONTROL
        return "cannot tell", f"the control failed: {measured.control_fault}", code
    stated = formatting.stated_percent(limit)
    if ratio.low > 1 + limit:
        return "out", f"latency is more than {stated} over plain", codes.OVER
    if _holds(ratio, limit):
        return "cannot tell", f"too close to {stated} to call", codes.UNDECIDED
    return "in", "", codes.WITHIN


def _holds(ratio: Interval | None, limit: float | None) -> bool:
    return ratio is not None and limit is not None and ratio.low <= 1 + limit < ratio.high


def _by_value(
    name: str, value: float | None, limit: float | None, written: Callable[[float], str]
) -> Judgement:
    if limit is None:
        return "in", "", codes.WITHIN
    if value is None:
        return "cannot tell", f"no {name} in the records", codes.UNCOUNTED
    if value > limit:
        return "out", f"{name} above {written(limit)}", codes.OVER
    return "in", "", codes.WITHIN


def _added_params(measured: Replicates, module: str) -> int | None:
    for run in measured.runs:
        mine, plain = (run.counts.get(name, {}).get("learnable") for name in (module, PLAIN))
        if mine and plain and mine.params is not None and plain.params is not None:
            return mine.params - plain.params
    return None


def _memory_ratio(measured: Replicates, module: str) -> float | None:
    for run in measured.runs:
        mine, plain = run.memory.get(module), run.memory.get(PLAIN)
        if mine and plain and mine.peak_live_bytes and plain.peak_live_bytes:
            return mine.peak_live_bytes / plain.peak_live_bytes
    return None


def _errors(measured: Replicates, module: str) -> list[str]:
    """Return each distinct failure; a module that is in by its first rounds may fail later."""
    messages = (
        f"{failure.step} failed: {failure.type}: {failure.message}"
        for run in measured.runs
        for failure in run.failures.get(module, {}).values()
    )
    return list(dict.fromkeys(" ".join(message.split()) for message in messages))
