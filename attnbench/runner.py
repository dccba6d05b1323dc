"""From a run's plan to its records: counts, memory, then interleaved rounds.

A generator: it stores nothing and shows nothing. What an earlier, interrupted call finished
is in the run that it is given, and is not done again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Literal

import torch

from . import allocator, environment, isolation, memory, statistics, timing
from .counting import count_all
from .records import PLAIN, Case, Counts, End, FailedStep, Failure, Memory, Record, Results
from .runs import Run
from .workload import network, step

FEWEST_ROUNDS = 30
"""Rounds before the intervals are trusted to end a run."""

CHECK_EVERY = 10
"""Rounds between two looks at the intervals, which cost a moment of the machine."""

Announce = Callable[[str, str | None], None]
"""Told the kind of step that is about to be done, and for which variant."""

MeasureMemory = Callable[[Case, str], Memory]


def measure_alone(case: Case, variant: str) -> Memory:
    """The variant's peaks, taken in a process of its own."""
    return isolation.call(memory.measure, case, variant)


def execute(
    run: Run,
    announce: Announce = lambda *_: None,
    *,
    measure_memory: MeasureMemory = measure_alone,
    clock: timing.Clock | None = None,
) -> Iterator[Record]:
    """Do what the run still lacks, and yield each record as it is finished.

    The records are added to ``run``.
    """
    if run.end is not None:
        return
    torch.set_num_threads(run.case.threads)
    for record in _steps(run, announce, measure_memory, clock):
        run.add(record)
        yield record


def _steps(
    run: Run, announce: Announce, measure_memory: MeasureMemory, clock: timing.Clock | None
) -> Iterator[Record]:
    work: dict[FailedStep, Callable[[str], Results]] = {
        "counts": lambda variant: _count(run.case, variant),
        "memory": lambda variant: measure_memory(run.case, variant),
    }
    for kind, measure in work.items():
        for variant in run.networks:
            if not run.has(variant, kind):
                announce(kind, variant)
                yield _attempt(run, variant, kind, measure)
    yield from _latency(run, announce, clock or timing.clock_for(run.case.device))


def _attempt(run: Run, variant: str, kind: FailedStep, measure: Callable[[str], Results]) -> Record:
    try:
        return _record(run, variant, results=measure(variant))
    except Exception as error:
        return _record(run, variant, error=_failure(kind, error))


def _count(case: Case, variant: str) -> Counts:
    """Counts are of the network for one image, whatever it is timed with."""
    plain_case = replace(case, dtype="float32", channels_last=False)
    shape = (1, 3, case.image_size, case.image_size)
    return Counts(rules=count_all(network(plain_case, variant, "meta"), shape))


def _latency(run: Run, announce: Announce, clock: timing.Clock) -> Iterator[Record]:
    if run.case.device == "cpu":
        allocator.keep_memory()
    steps: dict[str, timing.Step] = {}
    block_steps: dict[str, int] = {}
    for variant in run.plan.variants:
        if run.failed(variant, "latency"):
            continue
        announce("warm-up", variant)
        try:
            ready = step(run.case, variant)
            _check_finite(ready())
            block_steps[variant] = timing.warm_up(ready, clock)
            steps[variant] = ready
        except Exception as error:
            yield _record(run, variant, error=_failure("latency", error))
    first = run.rounds[-1].number + 1 if run.rounds else 0
    rounds = timing.Rounds(steps, block_steps, clock, run.case.seed, first)
    series = iter(rounds)
    while (reason := _reason_to_stop(run)) is None:
        announce("round", None)
        finished = next(series, None)
        for variant, raised in rounds.failures.items():
            if not run.failed(variant, "latency"):
                yield _record(run, variant, error=_failure("latency", raised))
        if finished:
            yield _record(run, None, results=finished)
    yield _record(run, None, results=End(reason=reason, rounds=len(run.rounds)))


def _check_finite(output: object) -> None:
    if isinstance(output, torch.Tensor) and not torch.isfinite(output).all():
        raise FloatingPointError("the output is not finite: what follows would time a defect")


def _reason_to_stop(run: Run) -> Literal["target", "budget", "failed"] | None:
    if run.failed(PLAIN, "latency"):
        return "failed"
    if run.rounds and run.timed_s >= run.plan.budget_s:
        return "budget"
    enough = len(run.rounds) >= FEWEST_ROUNDS and len(run.rounds) % CHECK_EVERY == 0
    variants = [name for name in run.plan.variants if not run.failed(name, "latency")]
    if enough and statistics.precise(run.rounds, variants, run.plan.target):
        return "target"
    return None


def _failure(kind: FailedStep, error: Exception) -> Failure:
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    message = str(error).partition("\nException raised from")[0]  # what follows is C++'s stack
    return Failure(step=kind, type=type(error).__name__, message=message or repr(error))


def _record(
    run: Run, variant: str | None, *, results: Results | None = None, error: Failure | None = None
) -> Record:
    return Record(
        case=run.case,
        variant=variant,
        results=results,
        environment=run.environment | environment.moment(),
        error=error,
    )
