"""Time until all modules are known, processes included: ``python benchmarks/time_to_known.py``.

``time_to_target.py`` times real runs until rounds alone leave ±1% open, which says nothing of what
differs between processes. Known with that part is a module by several processes only: by the old
rules as many runs of one process, each until all modules are at ±1% by its rounds, every module in
every round, against one copy of the plain host; by the new ones one run of several processes. Both
go on until the intervals over rounds and processes are as narrow as asked for all seven modules, in
shares of the plain host, as a run's target is.

On simulated machines that replay the steps of the published run and whose processes scatter by a
stated amount. Printed are the medians over RUNS machines: processes, seconds of timed rounds, and
seconds with START of each process on top (the counting of an old run's start is left out); then the
new over the old.

With ``--records FOLDER`` on real runs: the old ones are those that ``time_to_target.py`` made there
by its rule ``old``, the new ones all of several processes. Each old run ends where its rule or its
budget ends it, and once more as early as its rule could, after thirty rounds; one run after the
other is added until all are known, the control too. Which run comes first is chance: below stand
the medians over 20 other orders. Printed are how many rounds the module has that ran in the fewest,
seconds of timed rounds, and seconds from each run's first step, with counts and memory, to the end
of its last round; then the new runs that know all over the old ones in other orders, by medians,
and in brackets by the extremes of both.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from random import Random
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attnbench.measuring.selftest.simulated import Machine
    from attnbench.records.run import Run
    from attnbench.records.schema import Round

OVERHEADS = (0.066, 0.229, 0.055, 0.168, 0.159, 0.128, 0.169)
"""Of the seven modules in the published run."""

TRUTHS = {
    "plain": 1.0,
    "control": 1.0,
    **{f"m{number}": 1 + share for number, share in enumerate(OVERHEADS)},
}
MODULES = tuple(TRUTHS)[2:]

RESAMPLES = 200
"""Of the bootstrap of the rounds, enough for a comparison in which both rules have the same."""

MOST_S = 3600.0
"""Of timed rounds, after which a series ends without having reached its target."""

ORDERS = 20
"""In which old runs are taken, beside that in which they ran."""


def costs_s() -> dict[str, float]:
    """Return the seconds of a step of each network on the simulated machines."""
    from calibration import PLAIN_S

    return {name: PLAIN_S * truth for name, truth in TRUTHS.items()}


def half_width(rounds: Sequence[Round], module: str, *, copies: int) -> float:
    """Return what rounds and processes leave open, by so many copies of the plain host."""
    from attnbench.stats import processes, ratios

    found = ratios.samples(rounds, module)
    if not found:
        return inf
    values, ran_in = zip(*found, strict=True)
    parts = processes.parts([value[:copies] for value in values], ran_in, RESAMPLES)
    return inf if parts.processes is None else parts.interval.exponential.half_width


def known(
    rounds: Sequence[Round], width: float, *, copies: int, names: Sequence[str] = MODULES
) -> bool:
    """Return whether all of these are known to ±width, by so many copies of the plain host."""
    return all(half_width(rounds, name, copies=copies) <= width for name in names)


def one_old_run(machine: Machine) -> list[Round]:
    """Return the rounds of one process until its rounds, against one copy, leave ±1% open."""
    import time_to_target
    from calibration import BUDGET_S

    from attnbench.measuring.selftest.processes import run_in_processes
    from attnbench.stats.ratios import TARGET

    never = time_to_target.NEVER  # so that no module sits out
    rounds = run_in_processes(machine, costs_s(), budget_s=BUDGET_S, processes=1, target=never)
    for count in range(time_to_target.FEWEST_ROUNDS, len(rounds), time_to_target.LOOK_EVERY):
        first = rounds[:count]
        if all(time_to_target.one_copy(first, name) <= TARGET["cpu"] for name in MODULES):
            return first
    return rounds


def old(machine: Machine, width: float) -> list[Round]:
    """Return the rounds of as many runs of one process as it takes."""
    rounds: list[Round] = []
    process = 0
    while sum(timed.seconds for timed in rounds) < MOST_S:
        rounds += [replace(timed, process=process) for timed in one_old_run(machine)]
        process += 1
        if known(rounds, width, copies=1):
            break
    return rounds


def new(machine: Machine, width: float) -> list[Round]:
    """Return the rounds of one run in several processes, up to where all are known."""
    from time_to_target import FEWEST_ROUNDS, LOOK_EVERY

    from attnbench.measuring.selftest.processes import run_in_processes

    rounds = run_in_processes(machine, costs_s(), budget_s=MOST_S, target=width)
    counts = range(FEWEST_ROUNDS, len(rounds), LOOK_EVERY)
    enough = (count for count in counts if known(rounds[:count], width, copies=2))
    return rounds[: next(enough, len(rounds))]


@dataclass(frozen=True)
class Series:
    """The rounds of runs that are taken together, each run or process with a number of its own."""

    rounds: Sequence[Round]
    in_all_s: float
    """From the first step of each run to the end of its last round here."""

    @property
    def timed_s(self) -> float:
        """Seconds of timed rounds."""
        return sum(timed.seconds for timed in self.rounds)


def together(runs: Sequence[Run], ends: Sequence[int]) -> Iterator[Series]:
    """Yield the first run, the first two and so on, each as one process that ended at a round."""
    from time_to_target import in_all_s

    rounds: list[Round] = []
    taken_s = 0.0
    for process, (run, end) in enumerate(zip(runs, ends, strict=True)):
        rounds += [replace(timed, process=process) for timed in run.rounds[:end]]
        taken_s += in_all_s(run, end)
        yield Series(tuple(rounds), taken_s)


def ended_at(run: Run) -> int:
    """Return the number of rounds with which the old rule ends a run."""
    from time_to_target import one_copy, reached_at

    return reached_at(run, one_copy) or len(run.rounds)


def first_known(
    series: Iterable[Series], width: float, names: Sequence[str], *, copies: int
) -> Series | None:
    """Return the first with which all were known."""
    enough = (each for each in series if known(each.rounds, width, copies=copies, names=names))
    return next(enough, None)


def shown(series: Sequence[Series], width: float, names: Sequence[str], *, copies: int) -> str:
    """Return when all were known: of the first series of which that is true, or the last."""
    from attnbench.stats import ratios

    found = first_known(series, width, names, copies=copies)
    last = found or series[-1]
    fewest = min(len(ratios.log_ratios(last.rounds, name)) for name in names)
    text = f"{last.rounds[-1].process + 1:9} {fewest:6} {last.timed_s:7.0f} {last.in_all_s:7.0f}  "
    if found is not None:
        return text + "all"
    left = {name: half_width(last.rounds, name, copies=copies) for name in names}
    return text + ", ".join(f"{name} ±{w:.1%}" for name, w in left.items() if w > width)


def in_other_orders(
    runs: Sequence[Run], ends: Sequence[int], width: float, names: Sequence[str]
) -> list[Series]:
    """Return with which runs all were known, of each order in which they were at last."""
    found = []
    for seed in range(ORDERS):
        order = Random(seed).sample(range(len(runs)), len(runs))
        series = together([runs[at] for at in order], [ends[at] for at in order])
        found.append(first_known(series, width, names, copies=1))
    return [*filter(None, found)]


def shown_orders(found: Sequence[Series]) -> str:
    """Return the medians over orders, and in how many all were known."""
    if not found:
        return f"{'':33}all in none of {ORDERS}"
    processes = median(series.rounds[-1].process + 1 for series in found)
    timed_s = median(series.timed_s for series in found)
    in_all_s = median(series.in_all_s for series in found)
    return (
        f"{processes:9.1f} {'':6} {timed_s:7.0f} {in_all_s:7.0f}  all in {len(found)} of {ORDERS}"
    )


def show_records(folder: Path, width: float) -> None:
    """Print when all were known by the real runs in a folder."""
    from time_to_target import FEWEST_ROUNDS, in_all_s, runs_of

    old_runs = [*runs_of(folder, "old-*").values()]
    new_runs = {name: run for name, run in runs_of(folder, "*").items() if run.plan.processes > 1}
    if not old_runs or not new_runs:
        sys.exit(f"time_to_known.py: {folder} lacks runs of the rule old or of several processes")
    if len({(run.case, run.plan.variants) for run in (*old_runs, *new_runs.values())}) > 1:
        sys.exit(f"time_to_known.py: {folder} has runs of several configurations or modules")
    names = old_runs[0].plan.variants[1:]
    print(f"{'rules':22} processes rounds timed/s   all/s  known to ±{width:.1%}, or not")
    ends_by = {
        "old": [ended_at(run) for run in old_runs],
        "old, ended early": [min(FEWEST_ROUNDS, len(run.rounds)) for run in old_runs],
    }
    reached = {}
    for what, ends in ends_by.items():
        print(f"{what:22} {shown([*together(old_runs, ends)], width, names, copies=1)}")
        reached[what] = in_other_orders(old_runs, ends, width, names)
        print(f"{'  in other orders':22} {shown_orders(reached[what])}")
    series = {name: Series(run.rounds, in_all_s(run)) for name, run in new_runs.items()}
    for name, each in series.items():
        print(f"{name:22} {shown([each], width, names, copies=2)}")
    enough = [each for each in series.values() if known(each.rounds, width, copies=2, names=names)]
    if reached["old"] and enough:
        print(
            f"new that know all ({len(enough)} of {len(series)}) over old in other orders: "
            f"{shares(enough, reached['old'])}"
        )


def shares(new: Sequence[Series], old: Sequence[Series]) -> str:
    """Return how much of the old seconds the new ones took, by medians and in the extremes."""
    timed, in_all = (
        ([of(each) for each in new], [of(each) for each in old])
        for of in (lambda each: each.timed_s, lambda each: each.in_all_s)
    )
    return "; ".join(
        f"{median(a) / median(b):.2f} of {what} ({min(a) / max(b):.2f} to {max(a) / min(b):.2f})"
        for what, (a, b) in {"the timed seconds": timed, "all seconds": in_all}.items()
    )


def main() -> None:
    """Simulate both, or read both, and print them side by side."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=int, nargs="?", default=5, help="machines of each kind; 5")
    parser.add_argument("--width", type=float, default=0.01, help="half-width; 0.01")
    parser.add_argument("--start", type=float, default=15.0, help="seconds of a process's start")
    parser.add_argument("--records", type=Path, metavar="FOLDER", help="read real runs instead")
    arguments = parser.parse_args()
    if arguments.runs < 1 or not 0 < arguments.width < inf or not 0 <= arguments.start < inf:
        parser.error("one machine is the fewest, the width is above 0, a start takes 0 s or more")
    if arguments.records is not None:
        from attnbench.errors import UserError

        try:
            show_records(arguments.records, arguments.width)
        except UserError as error:
            sys.exit(f"time_to_known.py: {error}")
    else:
        simulate(arguments.runs, arguments.width, arguments.start)


def simulate(runs: int, width: float, start_s: float) -> None:
    """Print both by so many machines of each kind."""
    import calibration

    noise = calibration.noise_of(calibration.RECORDS)
    print(f"{'processes scatter by':20} {'rules':5} processes timed/s with starts/s")
    for scatter in (0.003, 0.01):
        in_all = {}
        for name, rules in {"old": old, "new": new}.items():
            series = [
                rules(calibration.machine_of({"process": scatter}, seed, noise), width)
                for seed in range(runs)
            ]
            counts = [rounds[-1].process + 1 for rounds in series]
            timed_s = [sum(timed.seconds for timed in rounds) for rounds in series]
            all_s = [
                taken_s + start_s * count for taken_s, count in zip(timed_s, counts, strict=True)
            ]
            in_all[name] = median(all_s)
            print(
                f"{scatter:20.1%} {name:5} {median(counts):9.0f} {median(timed_s):7.0f} "
                f"{in_all[name]:13.0f}",
                flush=True,
            )
        print(f"new over old: {in_all['new'] / in_all['old']:.2f}")


if __name__ == "__main__":
    main()
