"""From options to stored records: counts, memory, then latency, each in the process it needs.

What an earlier, interrupted call finished is not done again. Networks are counted in this
process, without weights; memory and time are taken in child processes, which may die, and so is
everything of custom modules.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import Any
from warnings import warn

from attnbench.counting import NotCountedError, count_all, training
from attnbench.counting.rule import Count
from attnbench.counting.twin import fake_mode
from attnbench.errors import UserError
from attnbench.measuring import isolated, latency, memory, planning, repetitions, workload
from attnbench.measuring.events import Beginning, Event, Planned, Waiting, failure, record
from attnbench.measuring.guard import is_custom, watched
from attnbench.measuring.workload import image_for, network
from attnbench.records import store
from attnbench.records.case import Case, RunOptions
from attnbench.records.run import Run
from attnbench.records.schema import Counts, End, FailedStep, Failure, Memory, Record, Results
from attnbench.records.variants import RESERVED
from attnbench.system import worker
from attnbench.system.worker import ChildDiedError
from attnbench.text import error_line, error_name

worker.PRELOAD.append(memory.__name__)

CountNetwork = Callable[[Case, str], dict[str, Count]]
MeasureMemory = Callable[[Case, str], Memory]
MeasureLatency = Callable[[Run], Iterator[Event]]
Progress = Callable[[Run, Planned | Waiting | Event], object]


@dataclass(frozen=True)
class Measured:
    """The runs of one call of :func:`run`, and the folder that holds their records."""

    runs: tuple[Run, ...]
    folder: Path
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Modules that do not fit the host or are refused, and why; they are in no run."""


def run(
    options: RunOptions, out: str | PathLike[str] | None = None, progress: Progress | None = None
) -> Measured:
    """Count, time and measure modules in a host, and store every record as soon as it is there.

    Options that are left out have the defaults of ``attnbench run``. Without ``out`` a new folder
    under ``reports/``; a folder with unfinished runs is resumed. Modules that do not fit the host
    are left out, and ``left_out`` of what is returned says why. ``progress(run, event)`` is called
    with Planned for every run, then, one run after the other, with Beginning before each step and
    with each Record once it is stored; with Waiting every second until a repetition is due. What
    fails is a record too: a run whose ``finished`` is false can be resumed by another call.

    Child processes import the script that calls this, so it needs the last line's guard::

        from pathlib import Path
        import attnbench

        def main() -> None:
            options = attnbench.RunOptions(modules=("se", "sa"), batch_size=(1, 8), budget_s=60.0)
            measured = attnbench.run(options, Path("reports/mine"))
            print(attnbench.read(measured.folder)[["batch_size", "variant", "ratio"]])

        if __name__ == "__main__":
            main()

    Raises:
        UserError: an option that cannot be, a module or host that is not known, no module that
            fits, another configuration or machine, a folder that cannot be written to, or a script
            without the guard.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise UserError(
            "attnbench.run is called while a child process imports the script; call it under "
            "if __name__ == '__main__':"
        )
    # Not part of the plan: a run may be resumed with another.
    with worker.time_limit(options.timeout_s):
        measured = _run(replace(options, timeout_s=None), out, progress or (lambda *_: None))
    if measured.left_out and progress is None:
        warn(f"left out: {'; '.join(measured.left_out.values())}", stacklevel=2)
    return measured


def _run(options: RunOptions, out: str | PathLike[str] | None, notify: Progress) -> Measured:
    planned_runs, folder, left_out = planning.prepare(options, None if out is None else Path(out))
    for planned, its_folder in planned_runs:
        notify(planned, Planned(its_folder, left_out))
    runs = tuple(planned for planned, _ in planned_runs)
    folders = {id(planned): its_folder for planned, its_folder in planned_runs}
    due = repetitions.paced(runs, 60 * (options.every_minutes or 0.0), notify)
    with closing(execute(due)) as events:  # which ends the child process, whatever is raised
        for planned, event in events:
            if isinstance(event, Record):
                store.append(folders[id(planned)], event)
            notify(planned, event)
    return Measured(runs, folder, left_out)


def memory_apart(case: Case, variant: str) -> Memory:
    """Measure the variant's peaks in a child process."""
    return worker.call(memory.measure, case, variant)


def latency_apart(run: Run) -> Iterator[Event]:
    """Time the run's rounds in a child process."""
    return worker.stream(latency.measure, run)


def count_network(case: Case, variant: str) -> dict[str, Count]:
    """Count a network of a case by every rule, for one image and without weights.

    Where that fails, it is built with the seed's weights and counted with data. In training what
    is counted is one step, for the case's batch.
    """
    if case.mode == "training":
        return _count_step(case, variant)
    image = image_for(case, (1, *case.input_shape[1:]), "meta")
    try:
        return count_all(network(case, variant, "meta"), image)
    except NotCountedError:
        return count_all(network(case, variant, "cpu"), image, seed=case.seed)


def _count_step(case: Case, variant: str) -> dict[str, Count]:
    try:
        return training.count_step(memory.fake_step(case, variant).parts, fake_mode())
    except Exception as error:
        counts = training.count_step(workload.step(case, variant).parts)
        reason = error_line(error)
        return {rule: replace(count, computed=reason) for rule, count in counts.items()}


def count_apart(case: Case, variant: str) -> dict[str, Count]:
    """Do the same in a child process where the module is custom: its code may end the process."""
    if not is_custom(variant, isolated=False):
        return count_network(case, variant)
    return worker.call(_count_watched, case, variant)


def _count_watched(case: Case, variant: str) -> dict[str, Count]:
    with watched(variant):
        return count_network(case, variant)


def _alone(case: Case, variant: str) -> Counts:
    """Count a module alone or a ceiling, custom modules in a child process."""
    if not is_custom(variant, isolated=True):
        return isolated.count(case, variant)
    return worker.call(_alone_watched, case, variant)


def _alone_watched(case: Case, variant: str) -> Counts:
    with watched(variant, isolated=True):
        return isolated.count(case, variant)


def execute(
    runs: Iterable[Run],
    *,
    measure_memory: MeasureMemory = memory_apart,
    measure_latency: MeasureLatency = latency_apart,
) -> Generator[tuple[Run, Event], None, None]:
    """Do what the runs still lack, one after the other; yield each event with its run.

    Records are first added to their run. What fails is a record, and the rest is still done.
    """
    count = cache(count_apart)  # a grid's configurations share their networks
    for run in runs:
        if run.finished:
            continue
        run.end = None
        for event in chain(_results(run, count, measure_memory), _latency(run, measure_latency)):
            if isinstance(event, Record):
                run.add(event)
            yield run, event


def _results(run: Run, count: CountNetwork, measure_memory: MeasureMemory) -> Iterator[Event]:
    """Yield counts and memory, or why there are none; both where some rules of counting failed."""
    steps: dict[FailedStep, tuple[tuple[str, ...], Callable[[str], Results]]] = {
        "counts": (run.counted, partial(_counts, run.case, count=count)),
        "memory": (run.networks, partial(measure_memory, run.case)),
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


def _counts(case: Case, variant: str, count: CountNetwork) -> Counts:
    if case.isolated:
        return _alone(case, variant)
    # A grid's configurations share the counts of what only memory and time depend on.
    same: dict[str, Any] = {"threads": 1, "device": "cpu", "compiled": False, "cuda_graph": False}
    forward = replace(case, batch_size=1, mode="inference", **same)
    if case.mode == "inference":
        return Counts(rules=count(forward, variant))
    counts: dict[str, Count] = {}
    failed: dict[str, str] = {}
    for counted in (forward, replace(case, **same)):
        try:
            counts |= count(counted, variant)
        except NotCountedError as error:
            counts |= error.counts
            failed |= error.failed
        except Exception as error:
            failed[f"{counted.mode} step"] = error_line(error)
    if failed:
        raise NotCountedError(counts, failed)
    return Counts(rules=counts)


def _latency(run: Run, measure: MeasureLatency) -> Iterator[Event]:
    """Time the rounds in a child process, and in a fresh one where its device is lost.

    A variant that crashes it, or gives no answer, in its warm-up or its block of a round is
    recorded as failed, and timing restarts without it. The plain host in a round is not: the cause
    lies outside, and the run can be resumed.
    """
    while run.end is None:
        last, failed = Beginning("start", None), False
        try:
            for event in measure(run):
                if isinstance(event, Beginning):
                    last = event
                failed = failed or (isinstance(event, Record) and event.error is not None)
                yield event
            if not failed:
                return
        except Exception as error:
            if run.end is not None:  # it failed on exit, when all was done
                return
            if isinstance(error, ChildDiedError) and last.kind == "warm-up":
                yield record(run, last.variant, error=failure("latency", error))
                continue
            message = error_line(error)
            if isinstance(error, ChildDiedError):
                variant = _variant_at(run, error) if last.kind == "round" else None
                where = f"{last.kind}, block of {variant}" if variant else last.kind
                message = f"{where}: {error}"
                if variant and variant not in RESERVED:
                    died = Failure(step="latency", type=error_name(error), message=message)
                    yield record(run, variant, error=died)
                    continue
            end = End(reason="failed", rounds=len(run.rounds), message=message)
            yield record(run, None, results=end)


def _variant_at(run: Run, error: ChildDiedError) -> str | None:
    """Return the variant in whose block the child was when it died, if that is known."""
    if error.mark is None or error.mark >= len(run.plan.variants):
        return None
    variant = run.plan.variants[error.mark]
    return None if run.failed(variant, "latency") else variant
