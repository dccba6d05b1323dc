"""The median of rounds that were timed in several processes, with the part of each level.

Placement in memory, the size of the environment and the order in which networks are built differ
between processes and stay within one: its rounds can be much more alike than the truth allows.

The point is the mean of the processes' medians, weighted by their rounds. Its interval is at each
end the wider of two: that of the rounds alone, from every round's distance to the median of its
process, and Student's from the scatter of the processes' medians (Kalibera and Jones 2013, section
4). Resampling few processes instead, and rounds within them, gives intervals that are too narrow:
the variance of K of them comes out (K - 1) / K of the true one, and no quantile allows for how
little K values tell of it. ``benchmarks/calibration.py`` counts how often each holds the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, inf, sqrt

import numpy as np

from attnbench.stats.interval import RESAMPLES, Interval, Samples, by_round, median_interval
from attnbench.stats.student import quantile

FEWEST_PROCESSES = 3
"""With two, Student's quantile is 12.7: nothing is known of what differs between processes."""

USUAL_PROCESSES = 6
"""Of a run. With six, Student's quantile of their scatter is 2.6; with four 3.2."""

LEAST_ROUNDS = 6
"""Rounds of a process that stands beside others."""


@dataclass(frozen=True)
class Parts:
    """An interval of a median (not of its exponential), and the half-widths of its two levels."""

    interval: Interval
    rounds: float
    """Of the interval from the rounds alone."""
    processes: float | None
    """What the processes add, in quadrature; None where there are too few of them to tell."""


def effective(sizes: Sequence[int]) -> float:
    """Return how many processes of equal size would average as well as those of these sizes."""
    return sum(sizes) ** 2 / sum(size**2 for size in sizes) if sizes else 0.0


def parts(samples: Samples, processes: Sequence[int], resamples: int = RESAMPLES) -> Parts:
    """Return the median of samples in time order, those of each round with its process.

    Of fewer than :data:`FEWEST_PROCESSES` processes (of equal size, or as many as would average as
    well) the rounds are one series, as if all were of one process.

    Raises:
        ValueError: no samples, or not as many processes.
    """
    rounds, ran_in = by_round(samples), np.asarray(processes)
    groups = {process: rounds[ran_in == process] for process in dict.fromkeys(processes)}
    count = effective([len(group) for group in groups.values()])
    if round(count) < FEWEST_PROCESSES:
        alone = median_interval(samples, resamples)
        return Parts(alone, alone.half_width, None)
    medians = {process: float(np.median(group)) for process, group in groups.items()}
    weights = {process: len(group) / len(rounds) for process, group in groups.items()}
    centre = fsum(weights[process] * median for process, median in medians.items())
    residuals = rounds - np.array([[medians[process]] for process in processes])
    within = median_interval([tuple(row) for row in residuals.tolist()], resamples)
    # Each process's median is taken from the same rounds, which lie too close to it.
    lost = sqrt(len(rounds) / max(len(rounds) - len(groups), 1))
    below, above = ((within.median - within.low) * lost, (within.high - within.median) * lost)
    # Unbiased where the variance of a median is in inverse proportion to its rounds.
    variance = fsum(
        weights[process] ** 2 * (median - centre) ** 2 / (1 - weights[process])
        for process, median in medians.items()
    )
    reach = quantile(round(count) - 1) * sqrt(variance)
    interval = Interval(centre, centre - max(below, reach), centre + max(above, reach))
    of_rounds = (below + above) / 2
    added = inf if of_rounds == inf else sqrt(max(interval.half_width**2 - of_rounds**2, 0.0))
    return Parts(interval, of_rounds, added)
