"""From raw seconds to ratios with their doubt. Derived when read, never stored. No torch.

The sample is the log-ratio of a variant to the plain host of the same round, so that what
slows the whole machine cancels. The interval is the wider of two at each end: a moving-block
bootstrap of the median (Kuensch 1989), because neighbouring rounds resemble each other and
resampling them one by one would promise too much; and the interval between two order
statistics, exact for independent rounds and widened where they are not, because with few or
with strongly correlated rounds the bootstrap promises too much in its turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, exp, floor, hypot, inf, lgamma, log, sqrt

import numpy as np
from numpy.typing import NDArray

from attnbench.records.schema import Block, Disturbance, Round
from attnbench.records.variants import CONTROL, PLAIN

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


def seconds_per_step(rounds: Sequence[Round], variant: str, part: str | None = None) -> list[float]:
    """One step's mean seconds, or those of a part of it, in each round in which it ran."""
    found = (_step_s(block, part) for block in _blocks(rounds, variant))
    return [seconds for seconds in found if seconds is not None]


def log_ratios(
    rounds: Sequence[Round], variant: str, baseline: str = PLAIN, part: str | None = None
) -> list[float]:
    """log(variant / baseline) of each round in which both ran, of steps or a part of them."""
    ratios = []
    for each in rounds:
        step_s = {block.variant: _step_s(block, part) for block in each.blocks}
        mine, base = step_s.get(variant), step_s.get(baseline)
        if mine is not None and base is not None:
            ratios.append(log(mine / base))
    return ratios


def _blocks(rounds: Sequence[Round], variant: str) -> Iterator[Block]:
    return (block for each in rounds for block in each.blocks if block.variant == variant)


def _step_s(block: Block, part: str | None) -> float | None:
    seconds = block.seconds if part is None else (block.parts or {}).get(part)
    return None if seconds is None else seconds / block.steps


def ratio(
    rounds: Sequence[Round],
    variant: str,
    resamples: int = RESAMPLES,
    *,
    baseline: str = PLAIN,
    part: str | None = None,
) -> Interval | None:
    """The variant's step time over the baseline's, or None where no round has both."""
    samples = log_ratios(rounds, variant, baseline, part)
    if not samples:
        return None
    logs = median_interval(samples, resamples)
    return Interval(exp(logs.median), exp(logs.low), exp(logs.high))


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


def control_fault(
    rounds: Sequence[Round], target: float, *, baseline: str = PLAIN, control: str = CONTROL
) -> str | None:
    """Why the run cannot give verdicts, or None where its control holds."""
    what = "the plain host" if baseline == PLAIN else f"the {baseline}"
    return fault(ratio(rounds, control, baseline=baseline), target, what)


def fault(found: Interval | None, target: float, what: str = "the plain host") -> str | None:
    """Why the ratio of a thing to itself allows no verdicts, or None where it does."""
    if found is None or found.half_width == inf:
        return f"fewer than {FEWEST} rounds"
    if found.excludes_one:
        return f"{what} against itself is told apart from 1"
    if found.high - found.low > 2 * target:
        return f"{what} against itself is known no better than ±{found.half_width:.1%}"
    return None


def verdict(interval: Interval) -> str:
    """What a ratio lets one say, given a control that holds."""
    if not interval.excludes_one:
        return "cannot be told apart"
    return "slower" if interval.low > 1 else "faster"


def precise(
    rounds: Sequence[Round], variants: Sequence[str], target: float, *, baseline: str = PLAIN
) -> bool:
    """Whether every variant's ratio is known to the target half-width."""
    intervals = (ratio(rounds, name, baseline=baseline) for name in variants if name != baseline)
    return all(each is not None and each.half_width <= target for each in intervals)


FENCE = 3.0


FEWEST_ROUNDS = 30
"""Rounds before the intervals are trusted to end a run."""

CHECK_EVERY = 10
"""Rounds between two looks at the intervals, which cost a moment of the machine."""


def settled(
    rounds: Sequence[Round], variants: Sequence[str], target: float, *, baseline: str = PLAIN
) -> bool:
    """Whether it is time to look, and every ratio is known to the target half-width."""
    time_to_look = len(rounds) >= FEWEST_ROUNDS and len(rounds) % CHECK_EVERY == 0
    return time_to_look and precise(rounds, variants, target, baseline=baseline)


def outliers(samples: Sequence[float]) -> int:
    """How many lie beyond the quartiles by more than three times their distance.

    Tukey's outer fences (Exploratory Data Analysis, 1977, section 2E). They are counted and
    shown; nothing is ever dropped, and a median does not care.
    """
    if len(samples) < FEWEST:
        return 0
    first, third = np.quantile(samples, (0.25, 0.75))
    reach = FENCE * (third - first)
    return sum(not first - reach <= sample <= third + reach for sample in samples)


FLAGS: dict[str, Callable[[Disturbance], bool]] = {
    "asleep": lambda found: (found.asleep_s or 0) > 0.1 * max(found.elapsed_s, 1.0),
    "waiting for a core": lambda found: (found.waited_s or 0) > 0.1 * found.elapsed_s,
    "robbed of a core": lambda found: (found.stolen_s or 0) > 0.1 * found.elapsed_s,
}
"""What a round is flagged for, by what kept the machine from it."""


def flags(rounds: Sequence[Round]) -> dict[str, int]:
    """How many rounds each flag is on, and how many have an outlying length.

    Lengths are compared among rounds of the same work: a variant that failed is missing later.
    """
    found = [each.disturbance for each in rounds if each.disturbance]
    counted = {name: sum(map(flag, found)) for name, flag in FLAGS.items()}
    lengths: dict[frozenset[tuple[str, int]], list[float]] = {}
    for each in (some for some in rounds if some.blocks):
        work = frozenset((block.variant, block.steps) for block in each.blocks)
        lengths.setdefault(work, []).append(log(each.seconds))
    counted["far from the others in length"] = sum(map(outliers, lengths.values()))
    return {name: count for name, count in counted.items() if count}
