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
from math import exp, inf, log

import numpy as np

from attnbench.records.schema import Block, Disturbance, Round
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.stats.interval import FEWEST, RESAMPLES, Interval, median_interval

TARGET = {"cuda": 0.005, "cpu": 0.01}
"""Half-width of a 95% interval at which the rounds may stop."""


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
        return "no significant difference"
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


def may_stop(
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
    "CPU time stolen": lambda found: (found.stolen_s or 0) > 0.1 * found.elapsed_s,
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
