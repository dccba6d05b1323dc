"""From a run's plan to its records: counts, memory, then latency, each where it belongs.

A generator: it stores nothing and shows nothing. What an earlier, interrupted call finished
is in the run that it is given, and is not done again. Networks are counted here, without
weights; memory and time are taken in processes of their own, which may die, and so is everything
of modules that nobody here has seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cache, partial
from typing import Any

from attnbench.counting import NotCountedError, count_all
from attnbench.counting.rule import Count
from attnbench.measuring import isolated, latency, memory
from attnbench.measuring.events import Beginning, Event, failure, record
from attnbench.measuring.workload import image_for, network
from attnbench.plugins import resolve
from attnbench.records.run import Run
from attnbench.records.schema import Case, Counts, End, FailedStep, Memory, Record, Results
from attnbench.records.variants import PLAIN, piece
from attnbench.system import worker
from attnbench.system.worker import ChildDiedError

CountNetwork = Callable[[Case, str], dict[str, Count]]
MeasureMemory = Callable[[Case, str], Memory]
MeasureLatency = Callable[[Run], Iterator[Event]]


def memory_apart(case: Case, variant: str) -> Memory:
    """The variant's peaks, taken in a process of its own."""
    return worker.call(memory.measure, case, variant)


def latency_apart(run: Run) -> Iterator[Event]:
    """The run's rounds, timed in a process of their own."""
    return worker.stream(latency.measure, run)


def count_network(case: Case, variant: str) -> dict[str, Count]:
    """Count a network of a case by every rule, for one image and without weights.

    Where that fails, it is built with the seed's weights and counted with data.
    """
    image = image_for(case, (1, *case.input_shape[1:]), "meta")
    try:
        return count_all(network(case, variant, "meta"), image)
    except NotCountedError:
        return count_all(network(case, variant, "cpu"), image, seed=case.seed)


def count_apart(case: Case, variant: str) -> dict[str, Count]:
    """:func:`count_network`, where nothing that the module's code does can end this process."""
    if variant == PLAIN or not resolve.is_custom(variant):
        return count_network(case, variant)
    return worker.call(count_network, case, variant)


def _alone(case: Case, variant: str) -> Counts:
    """The same of a module alone, and of the ceilings."""
    found = piece(variant)
    if found is None or not resolve.is_custom(found.module):
        return isolated.count(case, variant)
    return worker.call(isolated.count, case, variant)


def execute(
    runs: Iterable[Run],
    *,
    measure_memory: MeasureMemory = memory_apart,
    measure_latency: MeasureLatency = latency_apart,
) -> Iterator[tuple[Run, Event]]:
    """Do what the runs still lack, one after the other: each event with its run.

    Records are added to their run before they are yielded. What fails is a record, and the rest
    goes on.
    """
    count = cache(count_apart)  # a grid's configurations share their networks
    for run in runs:
        if run.finished:
            continue
        run.end = None
        for event in _steps(run, count, measure_memory, measure_latency):
            if isinstance(event, Record):
                run.add(event)
            yield run, event


def _steps(
    run: Run,
    count: CountNetwork,
    measure_memory: MeasureMemory,
    measure_latency: MeasureLatency,
) -> Iterator[Event]:
    for variant in run.counted:
        if not run.has(variant, "counts"):
            yield Beginning("counts", variant)
            yield from _counted(run, variant, partial(_counts, run.case, variant, count))
    for variant in run.networks:
        if not run.has(variant, "memory"):
            yield Beginning("memory", variant)
            yield _attempt(run, variant, "memory", partial(measure_memory, run.case, variant))
    yield from _latency(run, measure_latency)


def _counts(case: Case, variant: str, count: CountNetwork) -> Counts:
    if case.isolated:
        return _alone(case, variant)
    # A grid's configurations share the counts of what only memory and time depend on.
    same: dict[str, Any] = {"batch_size": 1, "threads": 1, "device": "cpu", "mode": "inference"}
    same |= {"compiled": False, "cuda_graph": False}
    return Counts(rules=count(replace(case, **same), variant))


def _counted(run: Run, variant: str, count: Callable[[], Counts]) -> Iterator[Record]:
    """The counts; where some rules fail, their failure and then what the others say."""
    try:
        yield record(run, variant, results=count())
    except NotCountedError as error:
        yield record(run, variant, error=failure("counts", error))
        if error.counts:
            yield record(run, variant, results=Counts(rules=error.counts))
    except Exception as error:
        yield record(run, variant, error=failure("counts", error))


def _attempt(run: Run, variant: str, kind: FailedStep, measure: Callable[[], Results]) -> Record:
    try:
        return record(run, variant, results=measure())
    except Exception as error:
        return record(run, variant, error=failure(kind, error))


def _latency(run: Run, measure: MeasureLatency) -> Iterator[Event]:
    """The rounds; a variant that kills their process while it warms up is left out of the next."""
    while run.end is None:
        last = Beginning("start", None)
        try:
            for event in measure(run):
                if isinstance(event, Beginning):
                    last = event
                yield event
            return
        except Exception as error:
            if run.end is not None:  # it failed at leaving, when all was done
                return
            if isinstance(error, ChildDiedError) and last.kind == "warm-up":
                yield record(run, last.variant, error=failure("latency", error))
                continue
            message = str(error) if isinstance(error, ChildDiedError) else repr(error)
            end = End(reason="failed", rounds=len(run.rounds), message=message)
            yield record(run, None, results=end)
