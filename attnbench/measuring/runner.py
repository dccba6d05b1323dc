"""From options to stored records: counts, memory, then latency, each in the process it needs.

What an earlier, interrupted call finished is not done again. Networks are counted in this
process, without weights; memory and time are taken in child processes, which may die, and so is
everything of custom modules.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar
from warnings import warn

from attnbench.counting import NotCountedError, count_all, training
from attnbench.counting.rule import Count
from attnbench.counting.twin import fake_mode
from attnbench.measuring import isolated, latency, memory, planning, repetitions, workload
from attnbench.measuring.energy import rounds as energy_rounds
from attnbench.measuring.events import (
    BESIDE,
    Beginning,
    Event,
    Planned,
    Waiting,
    failure,
    record,
)
from attnbench.measuring.guard import is_custom, watched
from attnbench.measuring.inside import profiler
from attnbench.measuring.processes import main_script, together, variation, witness
from attnbench.measuring.processes.share import next_process
from attnbench.measuring.workload import image_for, network
from attnbench.plugins import host_reference
from attnbench.records import store
from attnbench.records.case import OPTIONS, Case, RunOptions
from attnbench.records.run import Run
from attnbench.records.schema import (
    Counts,
    End,
    Export,
    FailedStep,
    Failure,
    Memory,
    Plan,
    Profile,
    Record,
    Results,
)
from attnbench.records.variants import is_reserved
from attnbench.stats.witness import custom_modules
from attnbench.system import worker
from attnbench.system.worker import ChildDiedError
from attnbench.text import error_line, error_name

worker.PRELOAD.append(memory.__name__)

EXPORTS = "exports"

T = TypeVar("T")

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
    with Planned for every run, then, one run after the other but for runs that share their rounds,
    with Beginning before each step and with each Record once it is stored; with Waiting every
    second until a repetition is due, and while another process measures, trains or evaluates on
    this machine. What fails is a record too: a run whose ``finished`` is false can be resumed by
    another call.

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
            fits, another configuration or machine, a folder that cannot be written to, a script
            without the guard or read from standard input; or another's work there, where
            ``if_busy`` is "refuse".
    """
    main_script.require_importable()
    # Neither is part of the plan: a run may be resumed with another.
    with worker.time_limit(options.timeout_s):
        notify = progress or _unheard()
        turns = repetitions.Turns(options.if_busy or "wait", notify)
        beside = _BesideThePlan(bool(options.profile), options.wait_for_quiet_s)
        planned = replace(
            options, timeout_s=None, if_busy=None, profile=None, wait_for_quiet_s=None
        )
        try:
            measured = _run(planned, out, notify, turns, beside)
        finally:
            turns.end()
    if measured.left_out and progress is None:
        warn(f"left out: {'; '.join(measured.left_out.values())}", stacklevel=2)
    return measured


@dataclass(frozen=True)
class _BesideThePlan:
    """Options that a run may be resumed without."""

    profiling: bool
    wait_for_quiet_s: float | None

    def wait_s(self, plan: Plan) -> float:
        """Return for how long a run may be held back; by default no longer than its rounds take."""
        if self.wait_for_quiet_s is not None:
            return self.wait_for_quiet_s
        return min(float(OPTIONS["wait_for_quiet_s"].default), plan.budget_s)


def _unheard() -> Progress:
    """Return what stands in for the caller's progress: it says once for whom a run waits."""
    said: list[str] = []

    def progress(_: Run, event: Planned | Waiting | Event) -> None:
        if isinstance(event, Beginning) and event.kind == BESIDE:
            print(f"rounds are flagged, beside {event.why}", file=sys.stderr)
        if isinstance(event, Waiting) and event.holder and not said:
            said.append(event.holder)
            print(f"waiting for {event.holder}", file=sys.stderr)

    return progress


def _run(
    options: RunOptions,
    out: str | PathLike[str] | None,
    notify: Progress,
    turns: repetitions.Turns,
    beside: _BesideThePlan,
) -> Measured:
    place = None if out is None else Path(out)
    turns.require_free(partial(planning.devices, options, place))
    planned_runs, folder, left_out = planning.prepare(options, place)
    for planned, its_folder in planned_runs:
        notify(planned, Planned(its_folder, left_out))
    runs = tuple(planned for planned, _ in planned_runs)
    for planned in runs:
        planned.exports, planned.profiling = _exports(folder), beside.profiling
        planned.images = None if options.calibration is None else Path(options.calibration)
        planned.wait_for_quiet_s = beside.wait_s(planned.plan)
    folders = {id(planned): its_folder for planned, its_folder in planned_runs}
    due = repetitions.paced(runs, 60 * (options.every_minutes or 0.0), notify)
    executed = execute(
        turns.each(due),
        together.companies(runs),
        measure_latency=lambda run: turns.marked(latency_apart(run)),
        measure_energy=lambda run: turns.marked(energy_apart(run)),
        measure_together=lambda members: turns.marked_together(together_apart(members)),
    )
    # Closed, which ends the child process, whatever is raised.
    with closing(executed) as events:
        for planned, event in events:
            if isinstance(event, Record):
                store.append(folders[id(planned)], event)
            notify(planned, event)
    return Measured(runs, folder, left_out)


def _exports(folder: Path) -> Path:
    """Return the folder of exported files: one for all runs of a grid, which share them."""
    of_grid = folder.parent / EXPORTS
    return of_grid if of_grid.is_dir() else folder / EXPORTS


def memory_apart(case: Case, variant: str) -> Memory:
    """Measure the variant's peaks in a child process."""
    return worker.call(memory.measure, case, variant)


def profile_apart(case: Case, variant: str) -> Profile:
    """Profile the variant in a child process, whose figures are no part of the timing."""
    return worker.call(profiler.measure, case, variant)


def export_apart(run: Run, variant: str) -> Export:
    """Export the variant in a child process, which its code or the exporter may end."""
    return worker.call(workload.export, run, variant)


def latency_apart(run: Run) -> Iterator[Event]:
    """Time one process's share of the run's rounds, in a child process.

    Beside custom modules, the plain host is also timed in a process that never runs their code.
    """
    events = _begun(run, worker.stream(latency.measure, run))
    return witness.witnessed(run, events) if custom_modules(run) else events


def together_apart(runs: Sequence[Run]) -> Iterator[tuple[int, Event]]:
    """Do the same for runs that share a process; each event comes with the position of its run."""
    events = _begun(runs[0], worker.stream(latency.measure_together, tuple(runs)))
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
    if not (is_custom(variant, isolated=False) or host_reference.is_custom(case.host)):
        return count_network(case, variant)
    return worker.call(_count_watched, case, variant)


def _count_watched(case: Case, variant: str) -> dict[str, Count]:
    with watched(variant):
        return count_network(case, variant)


def _alone(case: Case, variant: str) -> Counts:
    """Count a module alone or a ceiling, custom modules in a child process."""
    if not (is_custom(variant, isolated=True) or host_reference.is_custom(case.host)):
        return isolated.count(case, variant)
    return worker.call(_alone_watched, case, variant)


def _alone_watched(case: Case, variant: str) -> Counts:
    with watched(variant, isolated=True):
        return isolated.count(case, variant)


def execute(  # noqa: PLR0913  each is simulated in tests
    runs: Iterable[Run],
    companies: together.Companies | None = None,
    *,
    measure_memory: MeasureMemory = memory_apart,
    measure_latency: MeasureLatency = latency_apart,
    measure_energy: MeasureLatency = energy_apart,
    measure_together: together.MeasureTogether = together_apart,
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
                _apart(m, chain(_results(m, count, measure_memory), _energy(m, measure_energy)))
                for m in members
            ),
            together.rounds(members, measure_together),
            *(_apart(m, _latency(m, measure_latency)) for m in members),
        )
        for member, event in steps:
            if isinstance(event, Record):
                member.add(event)
            yield member, event


def _is_in(run: Run, runs: Iterable[Run]) -> bool:
    return any(known is run for known in runs)


def _apart(run: Run, events: Iterator[Event]) -> Iterator[tuple[Run, Event]]:
    return ((run, event) for event in events)


def _results(run: Run, count: CountNetwork, measure_memory: MeasureMemory) -> Iterator[Event]:
    """Yield counts, memory and profiles, or why there are none.

    Both where some rules of counting failed.
    """
    exported = run.networks if run.case.exported else ()
    in_memory = () if run.case.exported else run.networks  # it is the runtime's own, in its process
    steps: dict[FailedStep, tuple[tuple[str, ...], Callable[[str], Results]]] = {
        "counts": (run.counted, partial(_counts, run.case, count=count)),
        "export": (exported, partial(export_apart, run)),
        "memory": (in_memory, partial(measure_memory, run.case)),
        "profile": (run.profiled if run.profiling else (), partial(profile_apart, run.case)),
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
    same: dict[str, Any] = {"threads": 1, "device": "cpu", "runtime": "eager"}
    same |= {"dtype": "float32", "calibration": ""} if case.exported else {}
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


def _energy(run: Run, measure: MeasureLatency) -> Iterator[Event]:
    """Measure energy in child processes, where it is planned; after a failure without the variant.

    What ends a process outside of any variant's work is put down to the baseline, without which
    there are no ratios.
    """
    while not run.energy_known:
        last, before = run.plan.baseline, _energy_done(run)
        try:
            for event in measure(run):
                if isinstance(event, Beginning) and event.variant:
                    last = event.variant
                yield event
            if _energy_done(run) == before:
                return  # another process would do no more
        except Exception as error:
            if run.energy_known:  # it failed on exit, when all was done
                return
            failed = run.plan.baseline if run.failed(last, "energy") else last
            yield record(run, failed, error=failure("energy", error))


def _energy_done(run: Run) -> tuple[int, int]:
    """Return how many rounds of energy there are, and how many variants have failed at it."""
    return len(run.energy), sum(run.failed(name, "energy") for name in run.plan.variants)


def _latency(run: Run, measure: MeasureLatency) -> Iterator[Event]:
    """Time the rounds in child processes, one after the other, each its share.

    Where a process has lost its device, a fresh one goes on. A variant that crashes it, or gives no
    answer, in its warm-up or its block of a round is recorded as failed, and timing restarts
    without it. The plain host in a round is not: the cause lies outside, and the run can be
    resumed.
    """
    while run.end is None:
        last, rounds, failed = Beginning("start", None), len(run.rounds), False
        try:
            for event in measure(run):
                if isinstance(event, Beginning) and event.kind != BESIDE:
                    last = event
                failed = failed or (isinstance(event, Record) and event.error is not None)
                yield event
            if run.end is None and len(run.rounds) == rounds and not failed:
                return  # another process would do no more
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
                if variant and not is_reserved(variant):
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
