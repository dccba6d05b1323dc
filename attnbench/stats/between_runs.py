"""Repeated runs: their mean ratio, with an interval that includes the scatter between runs.

The interval of one run covers the scatter of its rounds, but not that between runs: memory
addresses, other load on the machine in that hour. Repeated runs show it. While they are few, the
scatter seen elsewhere is combined with theirs at the weight of a few runs (an inverse chi-squared
prior of the variance: Gelman et al., Bayesian Data Analysis, section 2.6; used as in the moderated
t of Smyth 2004, equation 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot, log, sqrt
from statistics import fmean

from attnbench.stats import interval
from attnbench.stats.interval import Interval
from attnbench.stats.student import quantile as student

ASSUMED = 0.013
"""Standard deviation of a module's log-ratio between runs of the same case, hours apart.

That of the modules that scatter most, GC and SA, in ``benchmarks/hours.py`` on the machine of the
published run, a CPU; the others have half of it. Callers that know a better value pass it.
"""

LATENCY_ASSUMED = 0.20
"""The same of a latency itself, which nothing protects from clock, neighbours and load.

On the machine of the published run, the plain host took 62.9 and 42.6 ms in one pair of runs and
62.9 and 62.7 ms in another: 0.195. Two pairs know little; ``benchmarks/hours.py`` shows your own.
"""

WEIGHT = 6
"""Degrees of freedom of these assumptions."""


def mean(intervals: Sequence[Interval]) -> Interval:
    """Return the geometric mean of independent ratios, with the uncertainty of their rounds.

    The distances of the ends are combined in quadrature (MOVER; see ``interval.change``).

    Raises:
        ValueError: no intervals.
    """
    if not intervals:
        raise ValueError("no runs")
    count = len(intervals)
    return Interval.of_logs(
        fmean(log(ratio.median) for ratio in intervals),
        hypot(*(ratio.log_below for ratio in intervals)) / count,
        hypot(*(ratio.log_above for ratio in intervals)) / count,
    )


def scatter(*sides: Sequence[Interval], assumed: float | None = None) -> tuple[float, int]:
    """Return the standard deviation of log-ratios between runs, and its degrees of freedom.

    Runs are compared within each side only.
    """
    prior = ASSUMED if assumed is None else assumed
    squares, freedom = prior**2 * WEIGHT, WEIGHT
    for side in sides:
        logs = [log(ratio.median) for ratio in side]
        squares += sum((value - fmean(logs)) ** 2 for value in logs)
        freedom += len(logs) - 1
    return sqrt(squares / freedom), freedom


def known(intervals: Sequence[Interval], assumed: float | None = None) -> Interval:
    """Return the mean ratio, with the uncertainty of rounds and of runs.

    Raises:
        ValueError: no runs.
    """
    return _widened(mean(intervals), of_runs(intervals, assumed))


def of_runs(intervals: Sequence[Interval], assumed: float | None = None) -> float:
    """Return by how much the mean log-ratio can be off by the variation between runs (95%)."""
    deviation, freedom = scatter(intervals, assumed=assumed)
    return student(freedom) * deviation / sqrt(len(intervals))


def between(
    old: Sequence[Interval], new: Sequence[Interval], assumed: float | None = None
) -> float:
    """Return by how much the mean log-ratios of two sides can differ by chance (95%)."""
    deviation, freedom = scatter(old, new, assumed=assumed)
    return student(freedom) * deviation * sqrt(1 / len(old) + 1 / len(new))


def change(
    old: Sequence[Interval], new: Sequence[Interval], assumed: float | None = None
) -> Interval:
    """Return the mean of ``new`` over that of ``old``, rounds and runs combined in quadrature.

    Raises:
        ValueError: a side without a run.
    """
    return _widened(interval.change(mean(old), mean(new)), between(old, new, assumed))


def _widened(rounds: Interval, runs: float) -> Interval:
    return Interval.of_logs(
        log(rounds.median), hypot(rounds.log_below, runs), hypot(rounds.log_above, runs)
    )
