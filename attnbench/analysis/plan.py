"""What mix of rounds, processes and runs knows a ratio well enough in the least time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median

from attnbench import formatting
from attnbench.analysis import replicates
from attnbench.errors import UserError
from attnbench.records.run import Run
from attnbench.records.schema import Environment
from attnbench.records.variants import CONTROL
from attnbench.stats import ratios
from attnbench.stats.components import Components, Cost, Mix, cheapest, components
from attnbench.stats.replicates import Replicates, differences, originals, other_code
from attnbench.text import printable

START_S, WARM_UP_S = 4.0, 1.0
"""Seconds that a process takes to start, and for each variant, where no run shows it."""


@dataclass(frozen=True, kw_only=True)
class SamplingPlan:
    """The components of each module's ratio, what each unit costs, and the cheapest mixes."""

    configuration: str
    runs: int
    goal: float
    components: dict[str, Components]
    """By module, and of the control."""
    cost: Cost
    one_run: Mix | None
    """For the interval within one run."""
    several: Mix | None
    """For the interval that also covers what differs between runs."""
    remarks: tuple[str, ...] = ()


def plan(folders: Sequence[Path], goal: float, scatter: float | None = None) -> SamplingPlan:
    """Return what the runs of one configuration in these folders show, and what would do.

    ``scatter`` is the standard deviation of log-ratios between runs, until enough of them show it;
    by default that of ``stats.between_runs``.

    Raises:
        UserError: no runs, several configurations, a goal that is none, or too few rounds.
    """
    if not 0 < goal < 1:
        raise UserError(f"the goal is a share above 0 and below 100%, not {goal:.6g}")
    sides: list[Replicates] = []
    remarks: list[str] = []
    for folder in folders:
        groups, said = replicates.read(folder)
        sides += groups
        remarks += said
    first = sides[0]
    runs = [run for side in sides for run in side.runs]
    if others := {side.case.described: None for side in sides if side.case != first.case}:
        listed = "; ".join([first.case.described, *others])
        raise UserError(f"plan takes runs of one configuration: {listed}")
    runs, said = _of_one_machine(runs)
    remarks += said
    known = {
        name: found
        for name in dict.fromkeys((CONTROL, *(m for side in sides for m in side.modules)))
        if (found := components([ratios.samples(run.rounds, name) for run in runs]))
    }
    modules = [found for name, found in known.items() if name != CONTROL]
    if not modules:
        raise UserError(f"{folders[0]}: no module has rounds enough; 6 are the fewest")
    cost = _cost(runs)
    return SamplingPlan(
        configuration=first.case.described,
        runs=len(runs),
        goal=goal,
        components=known,
        cost=cost,
        one_run=cheapest(modules, goal, cost, one_run=True),
        several=cheapest(modules, goal, cost, assumed=scatter),
        remarks=(*remarks, *_unknown(modules)),
    )


def _of_one_machine(runs: Sequence[Run]) -> tuple[list[Run], list[str]]:
    """Return the runs of all folders without copies, and remarks.

    Raises:
        UserError: they are of several machines, or of several versions of a module's code.
    """
    copies_of = originals(dict(enumerate(runs)))
    first, *others = kept = [runs[number] for number in copies_of]
    doubts: dict[str, None] = {}
    for other in others:
        if mixed := differences(first, other, ("one run", "another")):
            raise UserError(f"plan takes runs of one machine and its software: {'; '.join(mixed)}")
        if changed := other_code(first, other):
            named = ", ".join(map(printable, changed))
            raise UserError(f"plan takes runs of one version of the code of {named}")
        if (doubt := replicates.machine_doubt(first, other)) is not None:
            doubts[doubt] = None
    copies = len(runs) - len(kept)
    said = [f"{formatting.counted(copies, 'copy', 'copies')} of a run left out"] if copies else []
    return kept, [*said, *doubts]


def _unknown(modules: Sequence[Components]) -> list[str]:
    remarks = []
    if all(known.processes is None for known in modules):
        remarks.append(
            "no run has three processes, so what differs between them is not told apart from what "
            "differs between runs, and taken for none within a run; measure one with --processes 6"
        )
    if all(known.runs is None for known in modules):
        remarks.append(
            "one run does not show what differs between runs: an assumed scatter stands for it; "
            "measure several with --repeat 3"
        )
    return remarks


def _cost(runs: Sequence[Run]) -> Cost:
    """Return the seconds of each unit, medians over what the records' times show."""
    rounds, process_s, run_s = [], [], []
    for run in runs:
        whole = [timed for timed in run.rounds if not timed.sits_out] or run.rounds
        rounds += [timed.seconds for timed in whole]
        times = [_time(moment) for moment in run.moments]
        began = _text_time(run.started)
        for number, timed in enumerate(run.rounds):
            if number and timed.process != run.rounds[number - 1].process:
                process_s.append(_gap(times[number - 1], times[number]) - timed.seconds)
        if run.rounds and began and times[0]:
            run_s.append(_gap(began, times[0]) - run.rounds[0].seconds)
    assumed = START_S + WARM_UP_S * len(runs[0].plan.variants)
    process = max(median(process_s), 0.0) if process_s else assumed
    # Before a run's first round, its first process has begun too.
    of_run = max(median(run_s) - process, 0.0) if run_s else 0.0
    return Cost(median(rounds), process, of_run)


def _gap(before: datetime | None, after: datetime | None) -> float:
    try:
        return (after - before).total_seconds() if before and after else 0.0
    except TypeError:  # one has a time zone
        return 0.0


def _time(moment: Environment) -> datetime | None:
    return _text_time(moment.get("time"))


def _text_time(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None
