"""Time to ±1% of every module, old rules against new: ``python benchmarks/time_to_target.py``.

Old: one process, all modules in every round. New: six processes, modules that sit out. Both run in
turn, ``--repeats`` times each, in ``--minutes`` altogether (20): each run has its share of what is
left as its budget. Printed for each run, from its records alone: processes, rounds, seconds in
timed rounds and from its first step to its end; then the seconds of timed rounds after which all
modules were known to ±1%, looked at every ten rounds, by three definitions of the interval, the
same for both: rounds alone, against one copy of the plain host (as before there were processes);
rounds alone, against both copies; rounds and processes, against both (as printed today, which one
process cannot have). ``>`` stands before the seconds of a run that ended earlier. Last the medians
side by side, and how long the whole of a run took.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from datetime import datetime
from math import inf
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # so that --help answers at once
    from attnbench.records.run import Run
    from attnbench.records.schema import Round

METHODS = {"old: one process": 1, "new: six processes": 6}
SETUP_S, START_S = 30.0, 15.0
"""Taken from a run's share of the time, and for each process, before what is its budget."""

LEAST_BUDGET_S = 60.0
LOOK_EVERY, FEWEST_ROUNDS = 10, 30


def one_copy(rounds: Sequence[Round], module: str) -> float:
    """Return the half-width of the rounds alone, against one copy of the plain host."""
    from attnbench.stats import ratios
    from attnbench.stats.interval import median_interval

    logs = ratios.log_ratios(rounds, module)
    return median_interval(logs).half_width if logs else inf


def both_copies(rounds: Sequence[Round], module: str) -> float:
    """Return the half-width of the rounds alone, against both copies."""
    from attnbench.stats import ratios

    known = ratios.parts(rounds, module)
    return inf if known is None else known.rounds


def with_processes(rounds: Sequence[Round], module: str) -> float:
    """Return the half-width of rounds and processes; infinite where there are too few of these."""
    from attnbench.stats import ratios

    known = ratios.parts(rounds, module)
    return inf if known is None or known.processes is None else known.interval.half_width


DEFINITIONS: dict[str, Callable[[Sequence[Round], str], float]] = {
    "rounds, one copy": one_copy,
    "rounds, both copies": both_copies,
    "rounds and processes": with_processes,
}


def reached_s(run: Run, definition: Callable[[Sequence[Round], str], float]) -> float:
    """Return the seconds of rounds after which all modules are known to the target, or infinity."""
    for count in range(FEWEST_ROUNDS, len(run.rounds) + 1, LOOK_EVERY):
        rounds = run.rounds[:count]
        if all(definition(rounds, module) <= run.plan.target for module in run.modules):
            return sum(timed.seconds for timed in rounds)
    return inf


def seconds(known_s: float, of: float) -> str:
    """Return the seconds, or that a run of so many was too short."""
    return f">{of:.0f}" if known_s == inf else f"{known_s:.0f}"


def budget(left_s: float, runs_left: int, processes: int) -> float:
    """Return the seconds of rounds of the next run, so that all fit into what is left."""
    return max(LEAST_BUDGET_S, left_s / runs_left - SETUP_S - START_S * processes)


def main() -> None:
    """Alternate both and print them side by side."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=2, help="of each; 2")
    parser.add_argument("--minutes", type=float, default=20.0, help="for all of them; 20")
    parser.add_argument("--out", type=Path, help="where records are kept; else they are not")
    arguments = parser.parse_args()
    if arguments.repeats < 1:
        parser.error("one repeat of each is the fewest")
    if not arguments.minutes > 0:
        parser.error("the minutes are above 0")
    import attnbench

    print(f"{'method':18} processes rounds timed/s all/s " + "  ".join(DEFINITIONS))
    taken: dict[str, dict[str, list[float]]] = {method: {} for method in METHODS}
    deadline = perf_counter() + 60 * arguments.minutes
    runs_left = arguments.repeats * len(METHODS)
    with tempfile.TemporaryDirectory() as temporary:
        for repeat in range(1, arguments.repeats + 1):
            for method, processes in METHODS.items():
                folder = (arguments.out or Path(temporary)) / f"{processes}-{repeat}"
                budget_s = budget(deadline - perf_counter(), runs_left, processes)
                options = attnbench.RunOptions(processes=processes, budget_s=budget_s)
                (run,) = attnbench.run(options, folder).runs
                runs_left -= 1
                known = taken[method]
                cells = []
                for name, definition in DEFINITIONS.items():
                    known.setdefault(name, []).append(reached_s(run, definition))
                    cells.append(f"{seconds(known[name][-1], run.timed_s):>{len(name)}}")
                begun, ended = (
                    datetime.fromisoformat(str(at)) for at in (run.started, run.moments[-1]["time"])
                )
                known.setdefault("in all", []).append((ended - begun).total_seconds())
                print(
                    f"{method:18} {run.rounds[-1].process + 1:9} {len(run.rounds):6} "
                    f"{run.timed_s:7.0f} {known['in all'][-1]:5.0f} " + "  ".join(cells),
                    flush=True,
                )
    for name in (*DEFINITIONS, "in all"):
        old, new = (median(taken[method][name]) for method in METHODS)
        share = f": {new / old:.2f} of it" if max(old, new) < inf else ""
        texts = ("not reached" if value == inf else f"{value:.0f}" for value in (old, new))
        print("median seconds, {}: old {}, new {}{}".format(name, *texts, share))


if __name__ == "__main__":
    main()
