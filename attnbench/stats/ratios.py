"""Ratios with their uncertainty from raw seconds. Derived when read, never stored.

A sample is the log-ratio of a variant to the plain host in the same round, so that what slows the
whole machine cancels. A module has two of each round, to either copy of the plain host, and its
ratio is the median of all: not of the ratio to the mean of both copies, which would be off where
slow steps are further from the median than fast ones. Each end of the interval is the wider of two:
a moving-block bootstrap of the median (Kuensch 1989), because neighbouring rounds correlate and
resampling them one by one gives intervals that are too narrow; and order statistics, exact for
independent rounds and widened for correlated ones, because with few or strongly correlated rounds
the bootstrap is too narrow as well.
Where the rounds ran in several processes, the interval covers what differs between these as well
(``attnbench.stats.processes``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from math import inf, log

import numpy as np

from attnbench.records.schema import Disturbance, Round
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.stats import processes
from attnbench.stats.interval import FEWEST, RESAMPLES, Interval
from attnbench.stats.processes import LEAST_ROUNDS, Parts

TARGET = {"cuda": 0.005, "xpu": 0.005, "mps": 0.005, "cpu": 0.01}
"""Half-width of a 95% interval at which the rounds may stop."""


def seconds_per_step(rounds: Sequence[Round], variant: str, part: str | None = None) -> list[float]:
    """Return the mean seconds of a step, or of a part of it, in each round in which it ran."""
    by_round = (_step_s(timed, part).get(variant) for timed in rounds)
    return [seconds for seconds in by_round if seconds is not None]


SHARED = "another measurement or training ran"
"""Why a round is flagged of which the records say so."""

Sample = tuple[tuple[float, ...], int]
"""The log-ratios of a round, to each copy of the baseline, and the number of its process."""


def log_ratios(
    rounds: Sequence[Round], variant: str, baseline: str = PLAIN, part: str | None = None
) -> list[float]:
    """Return log(variant / baseline) of steps, or a part of them, of rounds in which both ran."""
    return [values[0] for values, _ in _samples(rounds, variant, (baseline,), part)]


def samples(
    rounds: Sequence[Round], variant: str, baseline: str = PLAIN, part: str | None = None
) -> list[Sample]:
    """Return each round's log-ratios with the number of its process.

    A module is compared with both copies of the plain host, if both ran in all of these rounds.
    """
    found = _samples(rounds, variant, (baseline,), part)
    if baseline == PLAIN and variant not in (PLAIN, CONTROL):
        with_both = _samples(rounds, variant, (PLAIN, CONTROL), part)
        return with_both if len(with_both) == len(found) else found
    return found


def _samples(
    rounds: Sequence[Round], variant: str, baselines: tuple[str, ...], part: str | None
) -> list[Sample]:
    needed, found = {variant, *baselines}, []
    for timed in rounds:
        step = _step_s(timed, part)
        if needed <= step.keys():
            values = tuple(log(step[variant] / step[baseline]) for baseline in baselines)
            found.append((values, timed.process))
    return found


def _step_s(timed: Round, part: str | None) -> dict[str, float]:
    """Return the seconds of one step, or of a part of it, of each variant that has it."""
    step_s = {}
    for block in timed.blocks:
        seconds = block.seconds if part is None else (block.parts or {}).get(part)
        if seconds is not None:
            step_s[block.variant] = seconds / block.steps
    return step_s


def ratio(
    rounds: Sequence[Round],
    variant: str,
    resamples: int = RESAMPLES,
    *,
    baseline: str = PLAIN,
    part: str | None = None,
) -> Interval | None:
    """Return the variant's step time over the baseline's; None where no round has both."""
    known = parts(rounds, variant, resamples, baseline=baseline, part=part)
    return None if known is None else known.interval.exponential


def parts(
    rounds: Sequence[Round],
    variant: str,
    resamples: int = RESAMPLES,
    *,
    baseline: str = PLAIN,
    part: str | None = None,
) -> Parts | None:
    """Return the same as a log-ratio, with what its rounds and its processes leave open."""
    known = samples(rounds, variant, baseline, part)
    if not known:
        return None
    logs, ran_in = [values for values, _ in known], [process for _, process in known]
    return processes.parts(logs, ran_in, resamples)


def control_fault(
    rounds: Sequence[Round], target: float, *, baseline: str = PLAIN, control: str = CONTROL
) -> str | None:
    """Return why the run cannot give verdicts; None where its control holds."""
    what = "the plain host" if baseline == PLAIN else f"the {baseline}"
    return fault(ratio(rounds, control, baseline=baseline), target, what)


def fault(control: Interval | None, target: float, what: str = "the plain host") -> str | None:
    """Return why the ratio of a network to itself allows no verdicts; None where it does."""
    if control is None or control.half_width == inf:
        return f"fewer than {FEWEST} rounds"
    if control.excludes_one:
        return f"{what} against itself is significantly different from 1"
    if control.high - control.low > 2 * target:
        return f"{what} against itself is known no better than ±{control.half_width:.1%}"
    return None


def verdict(interval: Interval) -> str:
    """Return what a ratio allows to say, given a control that holds."""
    if not interval.excludes_one:
        return "no significant difference"
    return "slower" if interval.low > 1 else "faster"


FEWEST_ROUNDS = 30
"""Rounds before the intervals may end a run."""

CHECK_EVERY = 10
"""Rounds between two computations of the intervals, which take machine time."""


def may_stop(
    rounds: Sequence[Round], variants: Sequence[str], target: float, *, baseline: str = PLAIN
) -> bool:
    """Return whether the intervals are due, and every ratio is known to the target half-width."""
    if len(rounds) < FEWEST_ROUNDS or len(rounds) % CHECK_EVERY != 0:
        return False
    intervals = (ratio(rounds, name, baseline=baseline) for name in variants if name != baseline)
    return all(known is not None and known.half_width <= target for known in intervals)


def whole_processes(rounds: Sequence[Round]) -> int:
    """Return how many processes have rounds enough to stand beside others."""
    counted = Counter(timed.process for timed in rounds)
    return sum(count >= LEAST_ROUNDS for count in counted.values())


def outliers(samples: Sequence[float]) -> int:
    """Return how many samples lie beyond the quartiles by more than three times their distance.

    Tukey's outer fences (Exploratory Data Analysis, 1977, section 2E). Outliers are counted and
    shown, never dropped; a median is robust to them.
    """
    if len(samples) < FEWEST:
        return 0
    first, third = np.quantile(samples, (0.25, 0.75))
    reach = 3 * (third - first)
    return sum(not first - reach <= sample <= third + reach for sample in samples)


FLAGS: dict[str, Callable[[Disturbance], bool]] = {
    "asleep": lambda lost: (lost.asleep_s or 0) > 0.1 * max(lost.elapsed_s, 1.0),
    "waiting for a core": lambda lost: (lost.waited_s or 0) > 0.1 * lost.elapsed_s,
    # Below half a second the counters' ticks are too coarse.
    "beside other programs": lambda lost: (lost.others_s or 0) > 0.1 * max(lost.elapsed_s, 0.5),
    "CPU time stolen": lambda lost: (lost.stolen_s or 0) > 0.1 * lost.elapsed_s,
}
"""The flags of a round, by what kept the machine from its work."""


def flags(rounds: Sequence[Round]) -> dict[str, int]:
    """Return how many rounds have each flag, and how many an outlying length.

    Lengths are compared among rounds of the same work: a variant that fails is missing afterwards.
    """
    disturbances = [timed.disturbance for timed in rounds if timed.disturbance]
    counted = {name: sum(map(flag, disturbances)) for name, flag in FLAGS.items()}
    lengths: dict[frozenset[tuple[str, int]], list[float]] = {}
    for timed in rounds:
        if timed.blocks:
            work = frozenset((block.variant, block.steps) for block in timed.blocks)
            lengths.setdefault(work, []).append(log(timed.seconds))
    counted[SHARED] = sum(timed.shared for timed in rounds)
    counted["far from the others in length"] = sum(map(outliers, lengths.values()))
    return {name: count for name, count in counted.items() if count}
