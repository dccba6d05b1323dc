"""Show how the main job scatters between runs: ``python benchmarks/hours.py FOLDER``.

Prints for each module of the runs in FOLDER the scatter of its ratio between the runs, beside the
one that the rounds of a run state, and the scatter of the plain host's latency; then, for all pairs
of runs, how often the interval of a change holds 1, since nothing has changed: from the rounds
alone, and with what ``attnbench.stats.between_runs`` adds for the runs; and how often the interval
of one run holds the median of all, again by both.

With ``--run N`` it first measures: the main job, each run in its own folder within FOLDER, every
EVERY seconds, until FOLDER holds N of them (existing ones count).
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import time
from itertools import combinations
from math import log, sqrt
from pathlib import Path
from statistics import NormalDist, fmean, median, stdev
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # so that --help answers at once
    from attnbench.stats.interval import Interval
    from attnbench.stats.replicates import Replicates

FEWEST = 2
"""Runs that show a scatter."""


def run_missing(folder: Path, wanted: int, every_s: float) -> None:
    """Make the runs that are missing for that many in the folder; one that was killed goes on."""
    from attnbench.records import store
    from attnbench.records.run import read

    unfinished = [path for path in store.runs_in(folder) if not read(path).finished]
    finished = len(store.runs_in(folder)) - len(unfinished)
    for number in range(finished + 1, wanted + 1):
        start = time.monotonic()
        out = unfinished.pop(0) if unfinished else _free(folder, number)
        command = [sys.executable, "-m", "attnbench", "run", "--out", str(out)]
        if subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode:
            sys.exit(f"hours.py: this has failed: {shlex.join(command)}")
        print(f"run {number} of {wanted}", flush=True)
        if number < wanted:
            time.sleep(max(0.0, every_s - (time.monotonic() - start)))


def _free(folder: Path, number: int) -> Path:
    """Return the first folder from that number on that is not there."""
    while (path := folder / f"{number:02}").exists():
        number += 1
    return path


def deviation(interval: Interval) -> float:
    """Return the standard deviation of the log-ratio that a run's own interval states."""
    from attnbench.stats.interval import CONFIDENCE

    quantile = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    return (interval.log_below + interval.log_above) / 2 / quantile


def row(name: str, intervals: list[Interval], scale: float = 1) -> str:
    """Return a line: least and greatest median, scatter between runs, scatter that rounds state."""
    medians = [interval.median for interval in intervals]
    if len(medians) < FEWEST:
        return f"{name:8} timed in too few runs"
    low, high = min(medians) * scale, max(medians) * scale
    stated = sqrt(fmean(deviation(interval) ** 2 for interval in intervals))
    return f"{name:8} {low:7.3f} {high:7.3f} {stdev(map(log, medians)):8.2%} {stated:8.2%}"


def show(runs: Replicates) -> None:
    """Print the scatter between runs, and how often a change between two of them holds 1."""
    from attnbench.records.variants import CONTROL, PLAIN
    from attnbench.stats import between_runs
    from attnbench.stats.interval import change

    held = {"rounds alone": 0, "rounds and runs": 0}
    pairs = 0
    print(f"{len(runs.runs)} runs of {runs.case.described}")
    print(f"{'module':8} {'from':>7} {'to':>7} {'scatter':>8} {'stated':>8}")
    for name in (CONTROL, *runs.modules):
        intervals = runs.intervals(name)
        print(row(name, intervals))
        for old, new in combinations(intervals, 2) if name != CONTROL else ():
            pairs += 1
            held["rounds alone"] += not change(old, new).excludes_one
            held["rounds and runs"] += not between_runs.change([old], [new]).excludes_one
    print(f"{row(PLAIN, runs.latencies(PLAIN), scale=1e3)}  (ms/image)")
    print("pairs of runs between which the interval of the change holds 1:")
    for source, count in held.items():
        print(f"by {source}: {count} of {pairs}" + _share(count, pairs))
    show_coverage(runs)


def show_coverage(runs: Replicates) -> None:
    """Print how often the interval of one run holds the median of all."""
    from attnbench.stats import between_runs

    within = across = of = 0
    for name in runs.modules:
        intervals = runs.intervals(name)
        if not intervals:
            continue
        middle = median(interval.median for interval in intervals)
        of += len(intervals)
        for interval in intervals:
            within += interval.low <= middle <= interval.high
            known = between_runs.known([interval])
            across += known.low <= middle <= known.high
    print("intervals of one run that hold the median of all runs of the module:")
    for source, count in (("rounds and processes", within), ("these and other times", across)):
        print(f"by {source}: {count} of {of}" + _share(count, of))


def _share(count: int, of: int) -> str:
    return f" ({count / of:.0%})" if of else ""


def main() -> None:
    """Measure if asked to, then print the scatter."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--run", type=int, metavar="N", help="measure until there are N runs")
    parser.add_argument("--every", type=float, default=600.0, help="seconds from start to start")
    arguments = parser.parse_args()
    if arguments.run is None and not arguments.folder.is_dir():
        parser.error(f"there is no folder {arguments.folder}; --run N measures N runs into it")
    from attnbench.analysis import replicates
    from attnbench.errors import UserError

    if arguments.run is not None:
        run_missing(arguments.folder, arguments.run, arguments.every)
    try:
        (runs, *others), remarks = replicates.read(arguments.folder)
    except UserError as error:
        parser.error(str(error))
    if others:
        parser.error(f"{arguments.folder} holds several configurations")
    if len(runs.runs) < FEWEST:
        parser.error(f"{arguments.folder} holds one run, and {FEWEST} are the fewest that scatter")
    print(*remarks, sep="\n", end="\n" if remarks else "")
    show(runs)


if __name__ == "__main__":
    main()
