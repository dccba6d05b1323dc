"""How much each level scatters a ratio: rounds, processes, runs; and what a mix of them reaches.

A log-ratio is the truth, plus what its run, its process within the run and its round within the
process add. The variance of the mean over R runs of K processes of n rounds each is

    rounds / (R K n) + processes / (R K) + runs / R

where ``rounds`` is the variance for which a median of n rounds is known to rounds / n. Each
component is the scatter of that level's medians less what the levels below explain of it, as in an
analysis of variance (Kalibera and Jones 2013, section 6), and not below zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import fsum, hypot, isfinite, sqrt
from statistics import NormalDist, fmean, variance

import numpy as np

from attnbench.stats import between_runs, processes
from attnbench.stats.interval import CONFIDENCE, Samples, by_round
from attnbench.stats.processes import LEAST_ROUNDS
from attnbench.stats.ratios import Sample
from attnbench.stats.student import quantile

Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


@dataclass(frozen=True)
class Components:
    """Variances of a log-ratio by level; None where there are too few units to tell."""

    rounds: float
    processes: float | None
    runs: float | None


def components(runs: Sequence[Sequence[Sample]]) -> Components | None:
    """Return the components from the samples of each run, in time order; None without any.

    ``processes`` takes a run of three processes at least; without one, what differs between
    processes is in ``runs``, which takes two runs.
    """
    known = [samples for samples in runs if len(samples) >= LEAST_ROUNDS]
    if not known:
        return None
    per_round: list[float] = []
    between: list[float] = []
    freedoms: list[int] = []
    centres, of_mean = [], []
    for samples in known:
        values, ran_in = [each for each, _ in samples], [process for _, process in samples]
        parts = processes.parts(values, ran_in)
        centres.append(parts.interval.median)
        of_round = (parts.rounds / Z) ** 2 * len(samples)
        per_round.append(of_round)
        if parts.processes is not None:
            found, freedom = _processes(values, ran_in, of_round)
            between.append(found)
            freedoms.append(freedom)
    rounds = fmean(value for value in per_round if isfinite(value))
    mixed = fsum(f * b for f, b in zip(freedoms, between, strict=True))
    of_processes = max(mixed / sum(freedoms), 0.0) if freedoms else None
    for samples in known:
        sizes = _sizes(samples)
        each = of_processes or 0.0
        of_mean.append(rounds / len(samples) + each / processes.effective(sizes))
    of_runs = max(variance(centres) - fmean(of_mean), 0.0) if len(centres) > 1 else None
    return Components(rounds, of_processes, of_runs)


def _processes(values: Samples, ran_in: Sequence[int], rounds: float) -> tuple[float, int]:
    """Return the variance between the processes of a run, which may be negative, and its freedom.

    The analysis of variance of groups of several sizes (Searle, Casella and McCulloch 1992,
    section 3.6), of medians: n (median - mean)^2 adds up over the processes to
    (K - 1) rounds + (N - sum of n^2 / N) processes.
    """
    every, known_in = by_round(values), np.asarray(ran_in)
    groups = {process: every[known_in == process] for process in dict.fromkeys(ran_in)}
    total = len(values)
    medians = {process: float(np.median(group)) for process, group in groups.items()}
    centre = fsum(len(groups[p]) * medians[p] for p in groups) / total
    squares = fsum(len(groups[p]) * (medians[p] - centre) ** 2 for p in groups)
    scale = total - fsum(len(group) ** 2 for group in groups.values()) / total
    freedom = len(groups) - 1
    return (squares - freedom * rounds) / scale, freedom


def _sizes(samples: Sequence[Sample]) -> list[int]:
    ran_in = [process for _, process in samples]
    return [ran_in.count(process) for process in dict.fromkeys(ran_in)]


@dataclass(frozen=True)
class Mix:
    """How many runs, processes in each and rounds in each of these, and how long they take."""

    runs: int
    processes: int
    rounds: int
    seconds: float
    half_width: float


@dataclass(frozen=True)
class Cost:
    """Seconds of a round, of a process beside its rounds, and of a run beside its processes."""

    round_s: float
    process_s: float
    run_s: float


def within(known: Components, of_processes: int, rounds: int) -> float:
    """Return the half-width (95%) expected of one run's interval: rounds and processes.

    As ``stats.processes`` has it: the wider of the rounds' and Student's of the processes.
    """
    alone = Z * sqrt(known.rounds / (of_processes * rounds))
    if of_processes < processes.FEWEST_PROCESSES:
        return alone
    of_process = (known.processes or 0.0) + known.rounds / rounds
    return max(alone, quantile(of_processes - 1) * sqrt(of_process / of_processes))


def across(
    known: Components, runs: int, of_processes: int, rounds: int, assumed: float | None = None
) -> float:
    """Return the half-width (95%) expected of several runs' interval, as ``stats.between_runs``.

    ``assumed``: the standard deviation between runs until these show it.
    """
    prior = between_runs.ASSUMED if assumed is None else assumed
    of_run = (known.processes or 0.0) / of_processes + known.rounds / (of_processes * rounds)
    of_run += known.runs or 0.0
    freedom = between_runs.WEIGHT + runs - 1
    scatter = sqrt((prior**2 * between_runs.WEIGHT + (runs - 1) * of_run) / freedom)
    return hypot(within(known, of_processes, rounds), quantile(freedom) * scatter) / sqrt(runs)


MOST_RUNS, MOST_PROCESSES, MOST_ROUNDS = 40, 24, 2000
"""Of a mix that is looked for; rounds of a process."""


def cheapest(
    every: Sequence[Components],
    goal: float,
    cost: Cost,
    *,
    one_run: bool = False,
    assumed: float | None = None,
) -> Mix | None:
    """Return the mix that reaches the half-width for all of them in the least time, if any does.

    Of several runs, what differs between them is covered; ``one_run`` asks for what one run can
    reach within itself. A run has three processes at least: fewer do not show what differs.
    """
    best: Mix | None = None
    for runs in (1,) if one_run else range(2, MOST_RUNS + 1):
        for of_processes in range(processes.FEWEST_PROCESSES, MOST_PROCESSES + 1):

            def reached(rounds: int, runs: int = runs, of_processes: int = of_processes) -> float:
                return max(
                    within(known, of_processes, rounds)
                    if one_run
                    else across(known, runs, of_processes, rounds, assumed)
                    for known in every
                )

            rounds = _fewest_rounds(reached, goal)
            if rounds is None:
                continue
            seconds = runs * (cost.run_s + of_processes * (cost.process_s + rounds * cost.round_s))
            if best is None or seconds < best.seconds:
                best = Mix(runs, of_processes, rounds, seconds, reached(rounds))
    return best


def _fewest_rounds(reached: Callable[[int], float], goal: float) -> int | None:
    low, high = LEAST_ROUNDS, MOST_ROUNDS
    if reached(high) > goal:
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) <= goal else (middle + 1, high)
    return low
