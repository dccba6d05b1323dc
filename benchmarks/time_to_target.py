"""Time to ±1% of all modules by old and new rules: ``python benchmarks/time_to_target.py FOLDER``.

Three rules: the old ones, from before there were processes (one process, every module in every
round, against one copy of the plain host); one process in which a module that has reached the
target sits out, against both copies; and six processes, as by default. Prints for each finished
run in FOLDER, from its records alone: processes, rounds, seconds in timed rounds and from its first
step to its end; then the seconds of timed rounds after which the control and all modules were known
to ±1% of the plain host, as a run's target is, looked at every ten rounds, by three definitions of
the interval: rounds alone, against one copy of the plain host; rounds alone, against both; rounds
and processes, against both (which one process cannot have). Each rule ends a run by one of them,
marked ``*``. ``>`` stands before the seconds of a run that ended earlier. Below each run by the old
rules stands what the second would have made of the very same rounds, without the blocks of modules
that would have sat out. Last the medians of each rule by its own definition and how much of the old
they are, and between which ratios the processes of the last lie.

With ``--run N`` it first measures: the main job by each rule in turn, or by ``--rules``, until
FOLDER holds N runs of each, in ``--minutes`` altogether: each run has its share of what is left as
its budget.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import exp, inf
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING
from unittest.mock import patch

if TYPE_CHECKING:  # so that --help answers at once
    from attnbench.records.run import Run
    from attnbench.records.schema import Round

SETUP_S, START_S = 30.0, 15.0
"""Taken from a run's share of the time, and for each process, before what is its budget."""

LEAST_BUDGET_S = 60.0
LOOK_EVERY, FEWEST_ROUNDS = 10, 30
WIDTH = 0.01
NEVER = 1e-6
"""A target that no module reaches, so that none sits out: the least that a plan may have."""


def one_copy(rounds: Sequence[Round], module: str) -> float:
    """Return the half-width of the rounds alone, against one copy of the plain host."""
    from attnbench.stats import ratios
    from attnbench.stats.interval import median_interval

    logs = ratios.log_ratios(rounds, module)
    return median_interval(logs).exponential.half_width if logs else inf


def both_copies(rounds: Sequence[Round], module: str) -> float:
    """Return the half-width of the rounds alone, against both copies."""
    from attnbench.stats import ratios
    from attnbench.stats.interval import Interval

    known = ratios.parts(rounds, module)
    if known is None:
        return inf
    return Interval.of_logs(known.interval.median, known.rounds, known.rounds).half_width


def with_processes(rounds: Sequence[Round], module: str) -> float:
    """Return the half-width of rounds and processes; infinite where there are too few of these."""
    from attnbench.stats import ratios

    known = ratios.parts(rounds, module)
    if known is None or known.processes is None:
        return inf
    return known.interval.exponential.half_width


DEFINITIONS: dict[str, Callable[[Sequence[Round], str], float]] = {
    "rounds, one copy": one_copy,
    "rounds, both copies": both_copies,
    "rounds and processes": with_processes,
}


@dataclass(frozen=True)
class Rules:
    """How a run is made, and by which definition it ends."""

    processes: int
    target: float
    definition: str


RULES = {
    "old": Rules(1, NEVER, "rounds, one copy"),
    "one-process": Rules(1, WIDTH, "rounds, both copies"),
    "six-processes": Rules(6, WIDTH, "rounds and processes"),
}
"""By the name that a run's folder begins with."""


def reached_at(run: Run, definition: Callable[[Sequence[Round], str], float]) -> int | None:
    """Return the number of rounds after which all ratios are known to ±1%, if they ever are."""
    compared = run.plan.variants[1:]
    for count in range(FEWEST_ROUNDS, len(run.rounds) + 1, LOOK_EVERY):
        if all(definition(run.rounds[:count], name) <= WIDTH for name in compared):
            return count
    return None


def reached_s(run: Run, definition: Callable[[Sequence[Round], str], float]) -> float:
    """Return the seconds of rounds after which all ratios are known to ±1%, or infinity."""
    count = reached_at(run, definition)
    return inf if count is None else sum(timed.seconds for timed in run.rounds[:count])


def replayed_s(run: Run) -> float:
    """Return the seconds of the same rounds where modules that have reached ±1% sit out."""
    from attnbench.measuring.processes.share import Share
    from attnbench.records.run import Run

    plan = replace(run.plan, target=WIDTH, processes=1)
    again = Run(run.case, plan, {})
    share = Share(again)
    for timed in run.rounds:
        blocks = tuple(block for block in timed.blocks if block.variant not in share.resting)
        again.rounds.append(replace(timed, blocks=blocks))
        if share.over(again):
            return again.timed_s
    return inf


def seconds(known_s: float, of: float) -> str:
    """Return the seconds, or that a run of so many was too short."""
    return f">{of:.0f}" if known_s == inf else f"{known_s:.0f}"


def budget(left_s: float, runs_left: int, processes: int) -> float:
    """Return the seconds of rounds of the next run, so that all fit into what is left."""
    return max(LEAST_BUDGET_S, left_s / runs_left - SETUP_S - START_S * processes)


def measure(folder: Path, repeats: int, minutes: float, rules: Sequence[str]) -> None:
    """Make the runs that are missing, by each rule in turn; one that was killed goes on."""
    import attnbench
    from attnbench.stats.ratios import TARGET

    names = [(f"{name}-{n}", RULES[name]) for n in range(1, repeats + 1) for name in rules]
    missing = [(folder / name, rule) for name, rule in names if not _finished(folder / name)]
    deadline = perf_counter() + 60 * minutes
    for done, (out, rule) in enumerate(missing):
        budget_s = budget(deadline - perf_counter(), len(missing) - done, rule.processes)
        with patch.dict(TARGET, cpu=rule.target):
            options = attnbench.RunOptions(processes=rule.processes, budget_s=budget_s)
            attnbench.run(options, out)


def _finished(folder: Path) -> bool:
    from attnbench.records.run import read
    from attnbench.records.store import runs_in

    return any(read(path).finished for path in runs_in(folder)) if folder.is_dir() else False


def runs_of(folder: Path, names: str) -> dict[str, Run]:
    """Return the finished runs whose names fit a pattern, in the order of their numbers."""
    from attnbench.records.run import read
    from attnbench.records.store import FILE_NAME

    found = [path for path in folder.glob(names) if (path / FILE_NAME).is_file()]
    found.sort(key=lambda path: (len(path.name), path.name))
    runs = {path.name: read(path) for path in found}
    return {name: run for name, run in runs.items() if run.finished}


def show(folder: Path) -> None:
    """Print what the runs in the folder say."""
    runs = {rule: runs_of(folder, f"{rule}-*") for rule in RULES}
    print(f"{'run':15} processes rounds timed/s all/s  " + "  ".join(DEFINITIONS))
    medians = {}
    for rule, known in runs.items():
        own = [show_run(name, run, RULES[rule].definition) for name, run in known.items()]
        if own:
            medians[rule] = median(own)
    for rule, after_s in medians.items():
        old_s = medians.get("old", inf)
        share = f", {after_s / old_s:.2f} of the old" if max(after_s, old_s) < inf else ""
        text = "more than the budgets" if after_s == inf else f"{after_s:.0f} s"
        print(f"median of {rule} by its own definition (*): {text}{share}")
    show_processes([*runs["six-processes"].values()])


def show_run(name: str, run: Run, own: str) -> float:
    """Print a run's line; return the seconds by the definition that is its own."""
    known_s = {what: reached_s(run, half_width) for what, half_width in DEFINITIONS.items()}
    cells = (
        f"{seconds(after_s, run.timed_s) + '*' * (what == own):>{len(what)}}"
        for what, after_s in known_s.items()
    )
    print(
        f"{name:15} {run.rounds[-1].process + 1:9} {len(run.rounds):6} {run.timed_s:7.0f} "
        f"{in_all_s(run):5.0f}  " + "  ".join(cells),
        flush=True,
    )
    if own == RULES["old"].definition:
        text = seconds(replayed_s(run), run.timed_s)
        print(f"  its rounds without modules that would have sat out: {text} s", flush=True)
    return known_s[own]


def in_all_s(run: Run, rounds: int | None = None) -> float:
    """Return the seconds from a run's first step to its end, or to that of so many rounds."""
    last = -1 if rounds is None else rounds - 1
    begun, ended = (
        datetime.fromisoformat(str(at)) for at in (run.started, run.moments[last]["time"])
    )
    return (ended - begun).total_seconds()


def show_processes(runs: Sequence[Run]) -> None:
    """Print for each module between which ratios the processes of these runs lie."""
    from attnbench.stats import ratios

    if not runs:
        return
    count = sum(run.rounds[-1].process + 1 for run in runs)
    print(f"ratios by process (six-processes: {count}), each by its own rounds:")
    for name in runs[0].plan.variants[1:]:
        medians = []
        for run in runs:
            known = ratios.samples(run.rounds, name)
            for process in {process: None for _, process in known}:
                values = [value for each, of in known if of == process for value in each]
                medians.append(exp(median(values)))
        if medians:
            print(f"{name:8} {min(medians):.3f} to {max(medians):.3f}")


def main() -> None:
    """Measure if asked to, then print all side by side."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--run", type=int, metavar="N", help="measure until there are N of each")
    parser.add_argument("--minutes", type=float, default=20.0, help="for all of these; 20")
    parser.add_argument(
        "--rules", nargs="+", choices=RULES, default=[*RULES], help="measure by these alone"
    )
    arguments = parser.parse_args()
    if arguments.run is not None and arguments.run < 1:
        parser.error("one run of each is the fewest")
    if not 0 < arguments.minutes < inf:
        parser.error("the minutes are above 0")
    if arguments.run is None and not arguments.folder.is_dir():
        parser.error(f"there is no folder {arguments.folder}; --run N measures N runs of each")
    from attnbench.errors import UserError

    try:
        if arguments.run is not None:
            measure(arguments.folder, arguments.run, arguments.minutes, arguments.rules)
        show(arguments.folder)
    except UserError as error:
        sys.exit(f"time_to_target.py: {error}")


if __name__ == "__main__":
    main()
