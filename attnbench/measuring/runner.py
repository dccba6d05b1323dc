"""From options to stored records: counts, memory, then latency, each in the process it needs.

What an earlier, interrupted call finished is not done again. Networks are counted in this
process, without weights; memory and time are taken in child processes, which may die, and so is
everything of custom modules.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from os import PathLike
from pathlib import Path
from warnings import warn

from attnbench.measuring import planning, repetitions
from attnbench.measuring.events import BESIDE, Beginning, Event, Planned, Waiting
from attnbench.measuring.processes import main_script, norm_statistics, together
from attnbench.measuring.steps import apart
from attnbench.measuring.steps.execute import execute
from attnbench.records import store
from attnbench.records.case import OPTIONS, RunOptions
from attnbench.records.run import Run
from attnbench.records.schema import Plan, Record
from attnbench.system import worker

EXPORTS = "exports"

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
        measure_latency=lambda run: turns.marked(apart.latency_apart(run)),
        measure_energy=lambda run: turns.marked(apart.energy_apart(run)),
        measure_together=lambda members: turns.marked_together(apart.together_apart(members)),
    )
    # Closed, which ends the child process, whatever is raised.
    with norm_statistics.folders(runs), closing(executed) as events:
        for planned, event in events:
            if isinstance(event, Record):
                store.append(folders[id(planned)], event)
            notify(planned, event)
    return Measured(runs, folder, left_out)


def _exports(folder: Path) -> Path:
    """Return the folder of exported files: one for all runs of a grid, which share them."""
    of_grid = folder.parent / EXPORTS
    return of_grid if of_grid.is_dir() else folder / EXPORTS
