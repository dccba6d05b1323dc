"""Repeat the main job: ``python benchmarks/hours.py FOLDER [--runs 15] [--every 600]``.

Starts a run of the main job every EVERY seconds, each in its own folder within FOLDER, until that
holds RUNS of them (existing ones count). Then prints for each module the scatter of its ratio
between the runs, beside the one that the rounds of a run state, and for all pairs of runs how
often the interval of a change holds 1, since nothing has changed: from the rounds alone, and with
what ``attnbench.stats.between_runs`` adds for the runs.
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

from attnbench.records import run as run_records
from attnbench.records import store
from attnbench.records.variants import CONTROL
from attnbench.stats import between_runs, ratios
from attnbench.stats.interval import CONFIDENCE, Interval, change

QUANTILE = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


def run_missing(folder: Path, count: int, every_s: float) -> list[Path]:
    """Return the folders of that many runs; those that are missing are run first."""
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
    """Return the standard deviation of the log-ratio that a run's own interval states."""
    return (interval.log_below + interval.log_above) / 2 / QUANTILE


def main() -> None:
    """Run what is missing and print the scatter."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--every", type=float, default=600.0)
    arguments = parser.parse_args()
    folders = run_missing(arguments.folder, arguments.runs, arguments.every)
    runs = [run_records.read(folder) for folder in folders]
    held = {"rounds alone": 0, "rounds and runs": 0}
    pairs = 0
    print(f"{'module':8} {'from':>6} {'to':>6} {'scatter':>8} {'stated':>8}")
    for name in (CONTROL, *runs[0].modules):
        intervals = [ratio for run in runs if (ratio := ratios.ratio(run.rounds, name))]
        medians = [interval.median for interval in intervals]
        stated = sqrt(fmean(deviation(interval) ** 2 for interval in intervals))
        scatter = stdev(map(log, medians))
        print(f"{name:8} {min(medians):6.3f} {max(medians):6.3f} {scatter:8.2%} {stated:8.2%}")
        if name == CONTROL:
            continue
        for old, new in combinations(intervals, 2):
            pairs += 1
            held["rounds alone"] += not change(old, new).excludes_one
            held["rounds and runs"] += not between_runs.change([old], [new]).excludes_one
    print("pairs of runs between which the interval of the change holds 1:")
    for source, count in held.items():
        print(f"by {source}: {count} of {pairs} ({count / pairs:.0%})")


if __name__ == "__main__":
    main()
