"""What a run still lacks, step by step: each is an event, and what fails is a record too."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from functools import cache, partial
from itertools import chain

from attnbench.counting import NotCountedError
from attnbench.measuring.events import Beginning, Event, failure, record
from attnbench.measuring.processes import together
from attnbench.measuring.steps import apart
from attnbench.measuring.steps.counting import CountNetwork, count_apart, counts
from attnbench.measuring.steps.restarts import MeasureLatency, energy, latency
from attnbench.records.run import Run
from attnbench.records.schema import Case, Counts, FailedStep, Memory, Record, Results

MeasureMemory = Callable[[Case, str], Memory]


def execute(  # noqa: PLR0913  each is simulated in tests
    runs: Iterable[Run],
    companies: together.Companies | None = None,
    *,
    measure_memory: MeasureMemory = apart.memory_apart,
    measure_latency: MeasureLatency = apart.latency_apart,
    measure_energy: MeasureLatency = apart.energy_apart,
    measure_together: together.MeasureTogether = apart.together_apart,
) -> Generator[tuple[Run, Event], None, None]:
    """Do what the runs still lack, one after the other; yield each event with its run.

    Of the runs of one of the ``companies`` the rest is done when the first is due, and their rounds
    are the same. Records are first added to their run. What fails is a record, and the rest is
    still done.
    """
    count = cache(count_apart)  # a grid's configurations share their networks
    done: list[Run] = []
    for run in runs:
        company = (companies or {}).get(id(run), (run,))
        members = [known for known in company if not (known.finished or _is_in(known, done))]
        done += members
        for member in members:
            member.end = None
        steps = chain(
            *(
                _of(m, chain(_results(m, count, measure_memory), energy(m, measure_energy)))
                for m in members
            ),
            *(_of(m, apart.statistics_apart(m)) for m in members),
            together.rounds(members, measure_together),
            *(_of(m, latency(m, measure_latency)) for m in members),
        )
        for member, event in steps:
            if isinstance(event, Record):
                member.add(event)
            yield member, event


def _is_in(run: Run, runs: Iterable[Run]) -> bool:
    return any(known is run for known in runs)


def _of(run: Run, events: Iterator[Event]) -> Iterator[tuple[Run, Event]]:
    return ((run, event) for event in events)


def _results(run: Run, count: CountNetwork, measure_memory: MeasureMemory) -> Iterator[Event]:
    """Yield counts, memory and profiles, or why there are none.

    Both where some rules of counting failed.
    """
    exported = run.networks if run.case.exported else ()
    in_memory = () if run.case.exported else run.networks  # it is the runtime's own, in its process
    steps: dict[FailedStep, tuple[tuple[str, ...], Callable[[str], Results]]] = {
        "counts": (run.counted, partial(counts, run.case, count=count)),
        "export": (exported, partial(apart.export_apart, run)),
        "memory": (in_memory, partial(measure_memory, run.case)),
        "profile": (run.profiled if run.profiling else (), partial(apart.profile_apart, run.case)),
    }
    for kind, (variants, measure) in steps.items():
        for variant in variants:
            if run.has(variant, kind):
                continue
            yield Beginning(kind, variant)
            try:
                yield record(run, variant, results=measure(variant))
            except Exception as error:
                yield record(run, variant, error=failure(kind, error))
                if isinstance(error, NotCountedError) and error.counts:
                    yield record(run, variant, results=Counts(rules=error.counts))
