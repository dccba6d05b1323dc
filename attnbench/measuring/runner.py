"""From a run's plan to its records: counts, memory, then latency, each where it belongs.

A generator: it stores nothing and shows nothing. What an earlier, interrupted call finished
is in the run that it is given, and is not done again. Networks are counted here, on the meta
device; memory and time are taken in processes of their own, which may die, and so is everything
of modules that nobody here has seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial

import torch

from attnbench.counting import NotCountedError, count_all
from attnbench.counting.rule import Count
from attnbench.hosts.build import Blocks, build
from attnbench.measuring import isolated, latency, memory
from attnbench.measuring.events import Beginning, Event, failure, record
from attnbench.plugins import resolve
from attnbench.records.image_size import Size, sides
from attnbench.records.run import Run
from attnbench.records.schema import Case, Counts, End, FailedStep, Memory, Record, Results
from attnbench.records.variants import PLAIN, STAGES, piece
from attnbench.system import worker
from attnbench.system.worker import ChildDiedError

CountNetwork = Callable[[str, str, Size, tuple[int, ...], Blocks], dict[str, Count]]
MeasureMemory = Callable[[Case, str], Memory]
MeasureLatency = Callable[[Run], Iterator[Event]]


def memory_apart(case: Case, variant: str) -> Memory:
    """The variant's peaks, taken in a process of its own."""
    return worker.call(memory.measure, case, variant)


def latency_apart(run: Run) -> Iterator[Event]:
    """The run's rounds, timed in a process of their own."""
    return worker.stream(latency.measure, run)


def count_network(
    host: str,
    variant: str,
    image_size: Size,
    stages: tuple[int, ...] = STAGES,
    blocks: Blocks = "all",
) -> dict[str, Count]:
    """A network by every rule, for one float32 image."""
    with torch.device("meta"):
        attention = None if variant == PLAIN else variant
        network = build(host, attention, stages=stages, blocks=blocks)
    return count_all(network, (1, 3, *sides(image_size)))


def count_apart(
    host: str,
    variant: str,
    image_size: Size,
    stages: tuple[int, ...] = STAGES,
    blocks: Blocks = "all",
) -> dict[str, Count]:
    """:func:`count_network`, where nothing that the module's code does can end this process."""
    what = (host, variant, image_size, stages, blocks)
    if variant == PLAIN or not resolve.parse(variant).is_custom:
        return count_network(*what)
    return worker.call(count_network, *what)


def _alone(case: Case, variant: str) -> Counts:
    """The same of a module alone, and of the ceilings."""
    found = piece(variant)
    if found is None or not resolve.parse(found.module).is_custom:
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
    return Counts(rules=count(case.host, variant, case.image_size, case.stages, case.blocks))


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
