"""Which modules are within a budget on the machine that was measured, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Literal

from attnbench import formatting
from attnbench.analysis import replicates
from attnbench.analysis.replicates import Replicates
from attnbench.claims import published_accuracy
from attnbench.claims.published_accuracy import Recipe
from attnbench.errors import UserError
from attnbench.records.variants import PLAIN
from attnbench.stats import between_runs as repeated
from attnbench.stats.interval import Interval

Answer = Literal["in", "out", "cannot say"]
ORDER: tuple[Answer, ...] = ("in", "cannot say", "out")


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
    """A module with its figures, the answer, and the reasons for it where it is not simply in."""

    module: str
    answer: Answer
    reasons: tuple[str, ...]
    interval_holds_limit: bool
    """Whether it is the doubt of its latency, and nothing that failed, that leaves it open."""
    ratio: Interval | None
    """Latency over the plain host's, with the doubt of rounds and of other hours."""
    added_params: int | None
    memory_ratio: float | None
    top1: float | None


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The answer to a question: candidates in their order, and what it rests on."""

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

    def of(self, answer: Answer) -> list[Candidate]:
        """The candidates with that answer."""
        return [each for each in self.candidates if each.answer == answer]


def pick(
    folder: Path,
    limits: Limits,
    recipe: str | None = None,
    between_runs: float | None = None,
) -> Choice:
    """Hold every module of a folder's runs against the limits.

    Raises:
        UserError: no limit, no run, several configurations, or a recipe that is not known.
    """
    if limits == Limits():
        raise UserError("name a limit: --max-overhead, --max-added-params or --max-memory")
    side, *others = replicates.read(folder)
    if others:
        described = "; ".join(each.case.described for each in (side, *others))
        raise UserError(f"{folder} holds several configurations, pick from one: {described}")
    scatter = repeated.ASSUMED if between_runs is None else between_runs
    chosen = published_accuracy.recipe(side.case.host, recipe, side.modules)
    candidates = (_candidate(side, module, limits, chosen, scatter) for module in side.modules)
    return Choice(
        configuration=side.case.described,
        runs=len(side.runs),
        limits=limits,
        recipe=chosen,
        unlike_published=_unlike(side),
        plain_top1=published_accuracy.top1(chosen, side.case, PLAIN),
        candidates=tuple(sorted(candidates, key=_place)),
        between_runs=scatter,
    )


def _unlike(side: Replicates) -> str | None:
    return next(
        (published_accuracy.unlike_published(side.case, each) for each in side.modules), None
    )


def _place(candidate: Candidate) -> tuple[int, float, float]:
    """The surest first, of these the most accurate, and of equals the fastest."""
    latency = candidate.ratio.median if candidate.ratio else inf
    return ORDER.index(candidate.answer), -(candidate.top1 or 0), latency


def _candidate(
    side: Replicates, module: str, limits: Limits, recipe: Recipe | None, between_runs: float
) -> Candidate:
    intervals = side.intervals(module)
    ratio = repeated.known(intervals, between_runs) if intervals else None
    added, memory = _added_params(side, module), _memory_ratio(side, module)
    judged = [
        *_of_latency(side, ratio, limits.overhead),
        *_of_exact("added parameters", added, limits.added_params, formatting.whole),
        *_of_exact("live peak", memory and memory - 1, limits.memory, formatting.percent),
    ]
    answer = max((answer for answer, _ in judged), key=ORDER.index)
    reasons = [reason for found, reason in judged if found == answer and reason]
    holds = limits.overhead is not None and _holding(limits.overhead) in reasons
    return Candidate(
        module=module,
        answer=answer,
        reasons=(*reasons, *_errors(side, module)),
        interval_holds_limit=holds,
        ratio=ratio,
        added_params=added,
        memory_ratio=memory,
        top1=published_accuracy.top1(recipe, side.case, module),
    )


def _of_latency(
    side: Replicates, ratio: Interval | None, limit: float | None
) -> list[tuple[Answer, str]]:
    if limit is None:
        return []
    if ratio is None:
        return [("cannot say", "it was not timed")]
    if side.control_fault is not None:
        return [("cannot say", f"the control failed: {side.control_fault}")]
    stated = formatting.percent(limit)
    if ratio.high <= 1 + limit:
        return [("in", "")]
    if ratio.low > 1 + limit:
        return [("out", f"latency is above {stated}")]
    return [("cannot say", _holding(limit))]


def _holding(limit: float) -> str:
    return f"the interval of the latency holds {formatting.percent(limit)}"


def _of_exact(
    what: str, value: float | None, limit: float | None, shown: Callable[[float], str]
) -> list[tuple[Answer, str]]:
    if limit is None:
        return []
    if value is None:
        return [("cannot say", f"no {what} in the records")]
    if value > limit:
        return [("out", f"{what} above {shown(limit)}")]
    return [("in", "")]


def _added_params(side: Replicates, module: str) -> int | None:
    for run in side.runs:
        mine, plain = (run.counts.get(name, {}).get("learnable") for name in (module, PLAIN))
        if mine and plain and mine.params is not None and plain.params is not None:
            return mine.params - plain.params
    return None


def _memory_ratio(side: Replicates, module: str) -> float | None:
    for run in side.runs:
        mine, plain = run.memory.get(module), run.memory.get(PLAIN)
        if mine and plain and mine.peak_live_bytes and plain.peak_live_bytes:
            return mine.peak_live_bytes / plain.peak_live_bytes
    return None


def _errors(side: Replicates, module: str) -> list[str]:
    """What failed of it, once each; a module that is in by its first rounds may fail later."""
    failures = (failure for run in side.runs for failure in run.failures.get(module, {}).values())
    said = (f"{each.step} failed: {each.type}: {each.message}" for each in failures)
    return list(dict.fromkeys(" ".join(each.split()) for each in said))
