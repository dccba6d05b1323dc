"""The main job again and again: ``python benchmarks/hours.py FOLDER [--runs 15] [--every 600]``.

Starts a run of the main job every so many seconds, each into a folder of its own in FOLDER, until
it holds that many (what is there already counts). Then prints for each module how its ratio
scattered between the runs, beside what the rounds of a run promise, and for all pairs of runs how
often the interval of a change holds 1, where nothing has changed: as the rounds alone promise it,
and with what ``attnbench.stats.between_runs`` allows for the runs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from itertools import combinations
from math import log, sqrt
from pathlib import Path
from statistics import NormalDist, fmean, stdev

from attnbench.records import run as runs
from attnbench.records import store
from attnbench.records.variants import CONTROL
from attnbench.stats import between_runs, ratios
from attnbench.stats import interval as statistics
from attnbench.stats.interval import Interval

QUANTILE = NormalDist().inv_cdf((1 + statistics.CONFIDENCE) / 2)


def made(folder: Path, count: int, every_s: float) -> list[Path]:
    """The folders of that many runs; those that are missing are run first."""
    finished = store.runs_in(folder)
    for number in range(len(finished) + 1, count + 1):
        start = time.monotonic()
        out = folder / f"{number:02}"
        subprocess.run(
            [sys.executable, "-m", "attnbench", "run", "--out", str(out)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        finished.append(out)
        print(f"run {number} of {count}", flush=True)
        if number < count:
            time.sleep(max(0.0, every_s - (time.monotonic() - start)))
    return finished


def deviation(interval: Interval) -> float:
    """The standard deviation of the log-ratio that a run's own interval promises."""
    return (interval.log_below + interval.log_above) / 2 / QUANTILE


def main() -> None:
    """Run what is missing and print the scatter."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--every", type=float, default=600.0)
    arguments = parser.parse_args()
    found = [runs.read(each) for each in made(arguments.folder, arguments.runs, arguments.every)]
    held = {"rounds alone": 0, "rounds and runs": 0}
    asked = 0
    print(f"{'module':8} {'from':>6} {'to':>6} {'scatter':>8} {'promised':>8}")
    for name in (CONTROL, *found[0].modules):
        intervals = [each for run in found if (each := ratios.ratio(run.rounds, name))]
        medians = [each.median for each in intervals]
        promised = sqrt(fmean(deviation(each) ** 2 for each in intervals))
        scatter = stdev(map(log, medians))
        print(f"{name:8} {min(medians):6.3f} {max(medians):6.3f} {scatter:8.2%} {promised:8.2%}")
        if name == CONTROL:
            continue
        for old, new in combinations(intervals, 2):
            asked += 1
            held["rounds alone"] += not statistics.change(old, new).excludes_one
            held["rounds and runs"] += not between_runs.change([old], [new]).excludes_one
    print("pairs of runs between which the interval of the change holds 1:")
    for what, count in held.items():
        print(f"by {what}: {count} of {asked} ({count / asked:.0%})")


if __name__ == "__main__":
    main()
