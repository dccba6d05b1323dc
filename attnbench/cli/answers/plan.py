"""``attnbench plan``: how many rounds, processes and runs reach a half-width in the least time."""

from __future__ import annotations

from dataclasses import asdict
from math import ceil, sqrt
from pathlib import Path
from typing import Annotated

import typer

from attnbench import formatting
from attnbench.analysis import plan as analysis
from attnbench.analysis.plan import SamplingPlan
from attnbench.cli import output
from attnbench.cli.options import BetweenRuns, choice, formats, option, share
from attnbench.stats.components import Cost, Mix
from attnbench.stats.verdicts import reasons

FORMATS = ("text", "json")
GOAL = 0.01
HEADINGS = ("module", "rounds", "processes", "runs")


def plan(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR", help="Runs of one configuration.")
    ],
    to: Annotated[
        float | None, option("SHARE", "The half-width (95%) to reach.", "1%", parser=share)
    ] = None,
    between_runs: BetweenRuns = None,
    format: Annotated[str, formats(FORMATS)] = "text",
) -> int:
    """Say what mix of rounds, processes and runs knows every ratio to a half-width soonest.

    From what finished runs of this machine show of the scatter at each level, and of what each
    takes. Exit status 1 where no mix reaches it.
    """
    as_json = choice(format, "--format", FORMATS) == "json"
    planned = analysis.plan(folders, GOAL if to is None else to, between_runs)
    if as_json:
        print(output.json_text(_json(planned)))
    else:
        console = output.console()
        caption = (
            f"{planned.configuration}, {formatting.counted(planned.runs, 'run')}: standard "
            "deviation of a log-ratio by what each level adds"
        )
        console.print(output.table(caption, HEADINGS, _rows(planned), ("module",)))
        for remark in planned.remarks:
            console.print(f"{remark[0].upper()}{remark[1:]}.")
        console.print(_costs(planned.cost))
        for sentence in _answers(planned):
            console.print(sentence)
    return 0 if planned.one_run and planned.several else 1


def _rows(planned: SamplingPlan) -> list[tuple[str, ...]]:
    return [
        (formatting.title(name), *map(_deviation, (known.rounds, known.processes, known.runs)))
        for name, known in planned.components.items()
    ]


def _deviation(variance: float | None) -> str:
    return formatting.NOTHING if variance is None else formatting.percent(sqrt(variance), 2)


def _costs(cost: Cost) -> str:
    round_s, process_s, run_s = (
        formatting.tenths(seconds) for seconds in (cost.round_s, cost.process_s, cost.run_s)
    )
    return (
        f"Here a round takes {round_s} s, a process {process_s} s beside its rounds, a run "
        f"{run_s} s beside its processes."
    )


def _answers(planned: SamplingPlan) -> list[str]:
    goal = f"±{formatting.stated_percent(planned.goal)}"
    return [
        _answer(f"Within one run, {goal} of every module", planned.one_run, planned.cost),
        _answer(
            f"With what differs between runs, {goal} of every module", planned.several, planned.cost
        ),
    ]


def code_of(mix: Mix | None) -> str:
    """Return the code of an answer."""
    return reasons.UNREACHED if mix is None else reasons.REACHED


def _answer(what: str, mix: Mix | None, cost: Cost) -> str:
    if mix is None:
        why = "quiet the machine, or ask for less with --to"
        return f"{what}: no mix reaches it ({code_of(mix)}); {why}."
    return (
        f"{what}: {formatting.counted(mix.runs, 'run')} of "
        f"{formatting.counted(mix.processes, 'process', 'processes')} of "
        f"{formatting.counted(mix.rounds, 'round')}, {formatting.seconds(mix.seconds)} in all "
        f"({code_of(mix)}, expected ±{formatting.percent(mix.half_width, 2)}): {command(mix, cost)}"
    )


def command(mix: Mix, cost: Cost) -> str:
    """Return the options of ``run`` for a mix; its rounds as the seconds that they take."""
    budget_s = ceil(mix.processes * mix.rounds * cost.round_s)
    repeat = f" --repeat {mix.runs}" if mix.runs > 1 else ""
    return f"attnbench run --processes {mix.processes} --budget {budget_s}{repeat}"


def _json(planned: SamplingPlan) -> dict[str, object]:
    mixes = {"one_run": planned.one_run, "several": planned.several}
    return {
        "configuration": planned.configuration,
        "runs": planned.runs,
        "goal": {"value": planned.goal, "unit": "1"},
        "variances": {name: asdict(known) for name, known in planned.components.items()},
        "seconds": asdict(planned.cost),
        **{name: None if mix is None else asdict(mix) for name, mix in mixes.items()},
        "codes": {name: code_of(mix) for name, mix in mixes.items()},
        "remarks": list(planned.remarks),
    }
