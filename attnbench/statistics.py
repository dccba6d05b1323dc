"""From raw seconds to ratios with their doubt. Derived when read, never stored. No torch.

The sample is the log-ratio of a variant to the plain host of the same round, so that what
slows the whole machine cancels. The interval is the wider of two at each end: a moving-block
bootstrap of the median (Kuensch 1989), because neighbouring rounds resemble each other and
resampling them one by one would promise too much; and the interval between two order
statistics, exact for independent rounds and widened where they are not, because with few or
with strongly correlated rounds the bootstrap promises too much in its turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, exp, floor, lgamma, log, sqrt

import numpy as np
from numpy.typing import NDArray

from .records import CONTROL, PLAIN, Round

TARGET = {"cuda": 0.005, "cpu": 0.01}
"""Half-width of a 95% interval at which the rounds may stop."""

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


def median_interval(samples: Sequence[float], resamples: int = RESAMPLES) -> Interval:
    """The median of a series in time order and its interval. Deterministic.

    Raises:
        ValueError: no samples.
    """
    if not samples:
        raise ValueError("no samples")
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


def seconds_per_step(rounds: Sequence[Round], variant: str) -> list[float]:
    """One step's mean seconds in each round in which the variant ran."""
    return [
        block.seconds / block.steps
        for each in rounds
        for block in each.blocks
        if block.variant == variant
    ]


def log_ratios(rounds: Sequence[Round], variant: str) -> list[float]:
    """log(variant / plain) of each round in which both ran."""
    ratios = []
    for each in rounds:
        step_s = {block.variant: block.seconds / block.steps for block in each.blocks}
        if variant in step_s and PLAIN in step_s:
            ratios.append(log(step_s[variant] / step_s[PLAIN]))
    return ratios


def ratio(rounds: Sequence[Round], variant: str, resamples: int = RESAMPLES) -> Interval | None:
    """The variant's step time over the plain host's, or None where no round has both."""
    samples = log_ratios(rounds, variant)
    if not samples:
        return None
    logs = median_interval(samples, resamples)
    return Interval(exp(logs.median), exp(logs.low), exp(logs.high))


def control_fault(rounds: Sequence[Round], target: float) -> str | None:
    """Why the run cannot give verdicts, or None where its control holds."""
    control = ratio(rounds, CONTROL)
    if control is None or len(log_ratios(rounds, CONTROL)) < FEWEST:
        return f"fewer than {FEWEST} rounds"
    if control.excludes_one:
        return "the plain host against itself is told apart from 1"
    if control.high - control.low > 2 * target:
        return f"the plain host against itself is known no better than ±{control.half_width:.1%}"
    return None


def verdict(interval: Interval) -> str:
    """What a ratio lets one say, given a control that holds."""
    if not interval.excludes_one:
        return "cannot be told apart"
    return "slower" if interval.low > 1 else "faster"


def precise(rounds: Sequence[Round], variants: Sequence[str], target: float) -> bool:
    """Whether every variant's ratio is known to the target half-width."""
    intervals = (ratio(rounds, name) for name in variants if name != PLAIN)
    return all(each is not None and each.half_width <= target for each in intervals)
