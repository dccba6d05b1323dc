"""The steps of a run that are done in a child process, which may die."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TypeVar

from attnbench.measuring import memory, workload
from attnbench.measuring.energy import rounds as energy_rounds
from attnbench.measuring.events import Beginning, Event
from attnbench.measuring.inside import profiler
from attnbench.measuring.latency.measure import measure, measure_together
from attnbench.measuring.processes import norm_statistics, variation, witness
from attnbench.measuring.processes.share import next_process
from attnbench.records.run import Run
from attnbench.records.schema import Case, Export, Memory, Profile
from attnbench.stats.witness import custom_modules
from attnbench.system import worker

worker.PRELOAD.append(memory.__name__)

T = TypeVar("T")


def memory_apart(case: Case, variant: str) -> Memory:
    """Measure the variant's peaks in a child process."""
    return worker.call(memory.measure, case, variant)


def profile_apart(case: Case, variant: str) -> Profile:
    """Profile the variant in a child process, whose figures are no part of the timing."""
    return worker.call(profiler.measure, case, variant)


def export_apart(run: Run, variant: str) -> Export:
    """Export the variant in a child process, which its code or the exporter may end."""
    return worker.call(workload.export, run, variant)


def statistics_apart(run: Run) -> Iterator[Event]:
    """Take the statistics of batch norms that its processes share; each network in a child process.

    Where that fails, each process takes its own.
    """
    for variant in () if run.norm_statistics is None else run.networks:
        if not run.failed(variant, "latency"):
            yield Beginning("norm statistics", variant)
            with suppress(Exception):
                worker.call(norm_statistics.take, run, variant)


def latency_apart(run: Run) -> Iterator[Event]:
    """Time one process's share of the run's rounds, in a child process.

    Beside custom modules, the plain host is also timed in a process that never runs their code.
    """
    events = _begun(run, worker.stream(measure, run))
    return witness.witnessed(run, events) if custom_modules(run) else events


def together_apart(runs: Sequence[Run]) -> Iterator[tuple[int, Event]]:
    """Do the same for runs that share a process; each event comes with the position of its run."""
    events = _begun(runs[0], worker.stream(measure_together, tuple(runs)))
    return witness.witnessed_together(runs, events) if custom_modules(runs[0]) else events


def energy_apart(run: Run) -> Iterator[Event]:
    """Measure the run's rounds of energy in a child process."""
    return worker.stream(energy_rounds.measure, run)


def _begun(run: Run, items: Iterator[T]) -> Iterator[T]:
    """Pass on what the run's next process yields, whose environment is as large as it should be."""
    size = variation.padding_bytes(run.case.seed, next_process(run))
    with variation.padded(size):
        first = next(items, None)  # which starts the process
    if first is not None:
        yield first
        yield from items
