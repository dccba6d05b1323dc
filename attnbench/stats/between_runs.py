"""Runs of one thing, made again: their mean ratio, and what one more of them could have found.

The interval of a run knows the scatter of its rounds. It cannot know that of runs: where the
machine's memory lay, what its neighbours did in that hour. Runs that are made again show it; until
there are enough of them, what runs have been seen to scatter elsewhere stands in for it, with the
weight of a few runs (an inverse chi-squared prior of the variance: Gelman et al., Bayesian Data
Analysis, section 2.6; in this use the moderated t of Smyth 2004, equation 4). No torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, hypot, log, sqrt
from statistics import NormalDist, fmean

from attnbench.stats import interval
from attnbench.stats.interval import CONFIDENCE, Interval

ASSUMED = 0.013
"""Standard deviation of a module's log-ratio between runs of the same thing, hours apart.

That of the modules that scatter most, GC and SA, in ``benchmarks/hours.py`` on the machine of the
published run, a CPU; the others have half of it. Where another is known, callers state it.
"""

WEIGHT = 6
"""How many runs beyond the first that assumption counts for."""


def mean(intervals: Sequence[Interval]) -> Interval:
    """The geometric mean of ratios measured independently, with what their rounds leave open.

    The distances of the ends are combined in quadrature (MOVER; see ``statistics.change``).

    Raises:
        ValueError: no intervals.
    """
    if not intervals:
        raise ValueError("no runs")
    count = len(intervals)
    return Interval.of_logs(
        fmean(log(each.median) for each in intervals),
        hypot(*(each.log_below for each in intervals)) / count,
        hypot(*(each.log_above for each in intervals)) / count,
    )


def scatter(*sides: Sequence[Interval], assumed: float | None = None) -> tuple[float, int]:
    """Standard deviation of log-ratios between runs of one side, and its degrees of freedom."""
    prior = ASSUMED if assumed is None else assumed
    squares, freedom = prior**2 * WEIGHT, WEIGHT
    for side in sides:
        logs = [log(each.median) for each in side]
        squares += sum((each - fmean(logs)) ** 2 for each in logs)
        freedom += len(logs) - 1
    return sqrt(squares / freedom), freedom


def known(intervals: Sequence[Interval], assumed: float | None = None) -> Interval:
    """The mean ratio, with what rounds and other hours leave open.

    Raises:
        ValueError: no runs.
    """
    found = mean(intervals)
    deviation, freedom = scatter(intervals, assumed=assumed)
    runs = student(freedom) * deviation / sqrt(len(intervals))
    return _widened(found, runs)


def between(
    old: Sequence[Interval], new: Sequence[Interval], assumed: float | None = None
) -> float:
    """How far the mean log-ratios of two sides may lie apart (95%) though nothing has changed."""
    deviation, freedom = scatter(old, new, assumed=assumed)
    return student(freedom) * deviation * sqrt(1 / len(old) + 1 / len(new))


def change(
    old: Sequence[Interval], new: Sequence[Interval], assumed: float | None = None
) -> Interval:
    """The mean of ``new`` over that of ``old``; its rounds and its runs in quadrature.

    Raises:
        ValueError: a side without a run.
    """
    return _widened(interval.change(mean(old), mean(new)), between(old, new, assumed))


def _widened(rounds: Interval, runs: float) -> Interval:
    return Interval.of_logs(
        log(rounds.median), hypot(rounds.log_below, runs), hypot(rounds.log_above, runs)
    )


def student(freedom: int) -> float:
    """What Student's t exceeds in absolute value with 5%; within 0.1% from six degrees on.

    Cornish and Fisher's expansion (Abramowitz and Stegun 1964, 26.7.5).
    """
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return fsum(term / freedom**power for power, term in enumerate(terms))
