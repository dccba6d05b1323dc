"""Medians, changes and proportions, each with its 95% interval."""

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
"""With five rounds even the extremes enclose the median with 94% only (1 - 2 * 0.5**5)."""


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
        """Whether a ratio differs significantly from 1."""
        return self.low > 1 or self.high < 1

    @property
    def log_below(self) -> float:
        """The distance from the lower end of a ratio to its median, in logarithms."""
        return inf if self.low <= 0 else log(self.median / self.low)

    @property
    def log_above(self) -> float:
        """The distance from the median of a ratio to its upper end, in logarithms."""
        return inf if self.high == inf else log(self.high / self.median)

    @property
    def exponential(self) -> Interval:
        """The interval of a ratio, where this one is of its logarithm."""
        return Interval(exp(self.median), exp(self.low), exp(self.high))

    @classmethod
    def of_logs(cls, middle: float, below: float, above: float) -> Interval:
        """Return a ratio from the logarithm of its median and the distances of the ends."""
        return cls(middle, middle - below, middle + above).exponential


Samples = Sequence[float] | Sequence[tuple[float, ...]]
"""One of each round, or as many of each: a module's ratios to the copies of its baseline."""


def median_interval(samples: Samples, resamples: int = RESAMPLES) -> Interval:
    """Return the median of a series in time order, with its interval. Deterministic.

    Where a round has several samples, the median is of all, and rounds stay whole.

    Raises:
        ValueError: no samples.
    """
    rounds = by_round(samples)
    return _median_interval(tuple(rounds.ravel().tolist()), rounds.shape[1], resamples)


def by_round(samples: Samples) -> NDArray[np.float64]:
    """Return samples as an array with a row for each round.

    Raises:
        ValueError: no samples.
    """
    if not samples:
        raise ValueError("no samples")
    return np.asarray(samples, dtype=float).reshape(len(samples), -1)


@lru_cache(maxsize=256)  # tables, plots and page ask for the same intervals
def _median_interval(samples: tuple[float, ...], of_round: int, resamples: int) -> Interval:
    rounds = np.asarray(samples, dtype=float).reshape(-1, of_round)
    median = float(np.median(rounds))
    if len(rounds) < FEWEST:
        return Interval(median, float("-inf"), float("inf"))
    medians = np.median(_resampled(rounds, resamples), axis=1)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(medians, (tail, 1 - tail))
    rank = _widened(_rank(len(rounds)), rounds)
    ordered = np.sort(rounds, axis=None)
    return Interval(median, float(min(low, ordered[rank])), float(max(high, ordered[-1 - rank])))


def _rank(size: int) -> int:
    """Return how many samples to leave out at each end and still enclose the median with 95%.

    The number of n independent samples below the median is binomial with probability 1/2
    (Conover, Practical Nonparametric Statistics, section 3.2).
    """
    tail, below = (1 - CONFIDENCE) / 2, 0.0
    for rank in range(size):
        log_ways = lgamma(size + 1) - lgamma(rank + 1) - lgamma(size - rank + 1)
        below += exp(log_ways - size * log(2))
        if below > tail:
            return rank - 1
    return 0


def _widened(rank: int, rounds: NDArray[np.float64]) -> int:
    """Return the rank among all samples: further outwards where neighbouring rounds correlate.

    A median depends on which side of it the samples lie. The variance of their number on one side
    grows by 1 + 2 * (the sum of the autocorrelations of the rounds' sides), summed while they are
    positive (Geyer 1992) and corrected by 1/n because the median is estimated from the same rounds.
    """
    size, of_round = len(rounds), int(rounds.shape[1])
    sides = np.where(rounds > np.median(rounds), 1.0, -1.0).mean(axis=1)
    spread = max(float(np.mean(sides**2)), _least_spread(of_round))
    sides -= sides.mean()
    inflation, variance = 1.0, float(sides @ sides)
    for lag in range(1, size // 2 if variance else 0):  # none where all rounds are alike
        correlation = float(sides[:-lag] @ sides[lag:]) / variance + 1 / size
        if correlation <= 0:
            break
        inflation += 2 * correlation
    reach = (size / 2 - rank) * sqrt(spread * inflation)
    return max(0, floor(of_round * (size / 2 - reach)))


def _least_spread(of_round: int) -> float:
    """Return the mean square of a round's mean side, where its samples share one network's time.

    Of three times without a difference each is the middle one equally often, and only then the two
    ratios of one to the others have different sides: two sides correlate by 2/3 - 1/3.
    """
    return (1 + (of_round - 1) / 3) / of_round


def _resampled(rounds: NDArray[np.float64], resamples: int) -> NDArray[np.float64]:
    size = len(rounds)
    length = ceil(size ** (1 / 3))
    blocks = ceil(size / length)
    starts = np.random.default_rng(0).integers(0, size - length + 1, (resamples, blocks))
    indices = (starts[:, :, None] + np.arange(length)).reshape(resamples, -1)[:, :size]
    return np.take(rounds, indices, axis=0).reshape(resamples, -1)


def change(old: Interval, new: Interval) -> Interval:
    """Return new / old, where both were measured independently.

    Each end combines the distances of two ends in quadrature on the logarithmic scale (the
    MOVER of Zou and Donner 2008, Statistics in Medicine 27, equation 7).
    """
    if new.median == 0:
        return Interval(0.0, 0.0, 0.0)
    return Interval.of_logs(
        log(new.median) - log(old.median),
        hypot(new.log_below, old.log_above),
        hypot(new.log_above, old.log_below),
    )


def wilson(successes: int, trials: int) -> Interval:
    """Return the share and its 95% interval (Wilson 1927), which stays within 0 and 1.

    The trials are taken for independent draws. The same weights on the same images always give the
    same share, and weights trained anew would change it by more than the interval.

    Raises:
        ValueError: there are no trials, or more successes than trials.
    """
    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(f"{successes} of {trials} is not a share")
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    share, weight = successes / trials, z * z / trials
    centre = (share + weight / 2) / (1 + weight)
    reach = z * sqrt(share * (1 - share) / trials + weight / (4 * trials)) / (1 + weight)
    # Where none or all succeeded, rounding alone could leave the share outside.
    low, high = min(share, centre - reach), max(share, centre + reach)
    return Interval(share, max(0.0, low), min(1.0, high))


def percent_right(evaluation: Evaluation, metric: Metric) -> Interval:
    """Return the accuracy in percent, with the interval for its number of images."""
    share = wilson(evaluation.right(metric), evaluation.images)
    return Interval(100 * share.median, 100 * share.low, 100 * share.high)
