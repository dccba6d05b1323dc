"""A median with its interval, a change with its interval, a proportion with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, exp, floor, hypot, inf, lgamma, log, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from attnbench.records.evaluation import Evaluation, Metric

CONFIDENCE = 0.95
RESAMPLES = 2_000
FEWEST = 6
"""Below six rounds no two samples enclose the median with 95% (1 - 2 * 0.5**5 = 94%)."""


@dataclass(frozen=True)
class Interval:
    """A median and its 95% interval; infinite where there are too few samples for one."""

    median: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half of the distance between the ends."""
        return (self.high - self.low) / 2

    @property
    def excludes_one(self) -> bool:
        """Whether a ratio is told apart from 1."""
        return self.low > 1 or self.high < 1

    @property
    def log_below(self) -> float:
        """The distance from the lower end to the median of a ratio, in its logarithm."""
        return inf if self.low <= 0 else log(self.median / self.low)

    @property
    def log_above(self) -> float:
        """The distance from the median to the upper end of a ratio, in its logarithm."""
        return inf if self.high == inf else log(self.high / self.median)

    @classmethod
    def of_logs(cls, middle: float, below: float, above: float) -> Interval:
        """A ratio from the logarithm of its median and the distances of the ends."""
        return cls(exp(middle), exp(middle - below), exp(middle + above))


def median_interval(samples: Sequence[float], resamples: int = RESAMPLES) -> Interval:
    """The median of a series in time order and its interval. Deterministic.

    Raises:
        ValueError: no samples.
    """
    if not samples:
        raise ValueError("no samples")
    return _median_interval(tuple(samples), resamples)


@lru_cache(maxsize=256)  # tables, plots and page ask for the same ones
def _median_interval(samples: tuple[float, ...], resamples: int) -> Interval:
    series = np.asarray(samples, dtype=float)
    median = float(np.median(series))
    if len(series) < FEWEST:
        return Interval(median, float("-inf"), float("inf"))
    medians = np.median(_resampled(series, resamples), axis=1)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(medians, (tail, 1 - tail))
    rank = _widened(_rank(len(series)), series)
    ordered = np.sort(series)
    return Interval(median, float(min(low, ordered[rank])), float(max(high, ordered[-1 - rank])))


def _rank(size: int) -> int:
    """How many samples to leave out at each end and still enclose the median with 95%.

    Fewer than k of n independent samples lie below the median with the probability that a fair
    coin shows heads fewer than k times in n throws (Conover, Practical Nonparametric
    Statistics, section 3.2).
    """
    tail, below = (1 - CONFIDENCE) / 2, 0.0
    for rank in range(size):
        log_ways = lgamma(size + 1) - lgamma(rank + 1) - lgamma(size - rank + 1)
        below += exp(log_ways - size * log(2))
        if below > tail:
            return rank - 1
    return 0


def _widened(rank: int, series: NDArray[np.float64]) -> int:
    """The rank moved outwards as if there were fewer rounds, where neighbours are alike.

    What matters for a median is on which side of it the rounds lie. The variance of their
    number on one side grows by 1 + 2 * (the sum of the autocorrelations of the sides), summed
    while they are positive (Geyer 1992) and corrected by 1/n for having taken the median out.
    """
    size = len(series)
    sides = np.where(series > np.median(series), 1.0, -1.0)
    sides -= sides.mean()
    inflation, variance = 1.0, float(sides @ sides)
    if variance == 0:  # all rounds alike
        return rank
    for lag in range(1, size // 2):
        correlation = float(sides[:-lag] @ sides[lag:]) / variance + 1 / size
        if correlation <= 0:
            break
        inflation += 2 * correlation
    return max(0, floor(size / 2 - (size / 2 - rank) * sqrt(inflation)))


def _resampled(series: NDArray[np.float64], resamples: int) -> NDArray[np.float64]:
    size = len(series)
    length = ceil(size ** (1 / 3))
    blocks = ceil(size / length)
    starts = np.random.default_rng(0).integers(0, size - length + 1, (resamples, blocks))
    indices = (starts[:, :, None] + np.arange(length)).reshape(resamples, -1)[:, :size]
    resampled: NDArray[np.float64] = series[indices]
    return resampled


def change(old: Interval, new: Interval) -> Interval:
    """new / old, where both were measured independently.

    Each end combines the distances of two ends in quadrature on the logarithmic scale (the
    MOVER of Zou and Donner 2008, Statistics in Medicine 27, equation 7).
    """
    if new.median == 0:  # nothing, of whatever
        return Interval(0.0, 0.0, 0.0)
    return Interval.of_logs(
        log(new.median) - log(old.median),
        hypot(new.log_below, old.log_above),
        hypot(new.log_above, old.log_below),
    )


def wilson(successes: int, trials: int) -> Interval:
    """The share and its 95% interval (Wilson 1927), which stays within 0 and 1.

    It takes the trials for independent draws. What it does not speak of: the same weights on the
    same images have no such doubt, and other training would move the share by more.

    Raises:
        ValueError: there are no trials, or more successes than trials.
    """
    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(f"{successes} of {trials} is no share")
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    share, weight = successes / trials, z * z / trials
    centre = (share + weight / 2) / (1 + weight)
    reach = z * sqrt(share * (1 - share) / trials + weight / (4 * trials)) / (1 + weight)
    # Rounding alone could leave the share outside, where none or all succeeded.
    low, high = min(share, centre - reach), max(share, centre + reach)
    return Interval(share, max(0.0, low), min(1.0, high))


def percent_right(evaluation: Evaluation, metric: Metric) -> Interval:
    """The accuracy in percent, with the interval that the number of images allows."""
    share = wilson(evaluation.right(metric), evaluation.images)
    return Interval(100 * share.median, 100 * share.low, 100 * share.high)
