"""Medians, changes and proportions with their intervals."""

from itertools import islice
from math import exp, inf, log, sqrt
from random import Random

import numpy as np
import pytest
from helpers.evaluations import evaluation

from attnbench.measuring.selftest.simulated import Machine
from attnbench.measuring.timing import Rounds
from attnbench.records.variants import PLAIN
from attnbench.stats.interval import (
    FEWEST,
    Interval,
    change,
    median_interval,
    percent_right,
    wilson,
)
from attnbench.stats.ratios import ratio

Z = 1.959964


def test_a_ratio_has_the_exponentials_of_its_logarithms_ends() -> None:
    ratio = Interval(0.0, log(0.5), log(4.0)).exponential
    assert (ratio.median, ratio.low, ratio.high) == pytest.approx((1.0, 0.5, 4.0))
    assert ratio.half_width == pytest.approx(1.75)
    assert Interval(0.0, -inf, inf).exponential == Interval(1.0, 0.0, inf)


def test_the_interval_is_that_of_the_formula() -> None:
    interval = wilson(30, 40)
    centre = (0.75 + Z**2 / 80) / (1 + Z**2 / 40)
    reach = Z * sqrt(0.75 * 0.25 / 40 + Z**2 / 6400) / (1 + Z**2 / 40)
    assert interval.median == 30 / 40
    assert interval.low == pytest.approx(centre - reach, abs=1e-6)
    assert interval.high == pytest.approx(centre + reach, abs=1e-6)
    assert (round(interval.low, 4), round(interval.high, 4)) == (0.5981, 0.8581)


def test_on_imagenet_it_is_about_a_third_of_a_percent_to_each_side() -> None:
    interval = wilson(38_192, 50_000)  # 76.384%
    normal = Z * sqrt(0.76384 * (1 - 0.76384) / 50_000)
    assert interval.half_width == pytest.approx(normal, rel=1e-3)
    assert 0.0037 < normal < 0.0038


@pytest.mark.parametrize("trials", [1, 7, 50_000])
def test_all_or_none_stay_within_0_and_1(trials: int) -> None:
    none, every = wilson(0, trials), wilson(trials, trials)
    assert (none.low, every.high) == (0, 1)
    assert none.high == pytest.approx(Z**2 / (trials + Z**2), rel=1e-5)
    assert every.low == pytest.approx(1 - none.high)


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (2, 1), (-1, 3)])
def test_a_share_beyond_1_is_refused(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match="is not a share"):
        wilson(successes, trials)


def test_percent_has_the_interval_of_so_many_images() -> None:
    interval = percent_right(evaluation(), "top1")
    assert interval.median == pytest.approx(100 * 38_941 / 50_000)
    assert (round(interval.low, 3), round(interval.high, 3)) == (77.516, 78.244)
    assert percent_right(evaluation(), "top5").median == pytest.approx(93.8)


@pytest.mark.parametrize(
    ("samples", "median"), [([5], 5), ([3, 1, 2], 2), ([4, 1, 3, 2], 2.5), ([9, 1, 1, 1, 9], 1)]
)
def test_fewer_than_six_samples_have_a_median_and_an_infinite_interval(samples, median):
    assert median_interval(samples) == Interval(median, -inf, inf)


def test_no_samples_have_no_median():
    with pytest.raises(ValueError, match="no samples"):
        median_interval([])


def test_a_constant_series_is_known_exactly():
    assert median_interval([0.25] * FEWEST) == Interval(0.25, 0.25, 0.25)


def test_the_interval_of_six_samples_by_hand():
    # Two of six samples are 9. An interval that is right 95 times of 100 reaches from the
    # least to the greatest: the median is beyond the extremes in 2 * 0.5**6 = 3.1% of cases,
    # and beyond the second and the fifth in 2 * 7 * 0.5**6 = 21.9%.
    assert median_interval([0, 0, 0, 0, 9, 9]) == Interval(0, 0, 9)


def test_the_interval_moves_and_stretches_with_its_series():
    series = [Random(1).gauss(0, 1) for _ in range(40)]
    base = median_interval(series)
    moved = median_interval([3 + 2 * sample for sample in series])
    assert (moved.median, moved.low, moved.high) == pytest.approx(
        (3 + 2 * base.median, 3 + 2 * base.low, 3 + 2 * base.high)
    )


def test_the_same_series_gives_the_same_interval():
    series = [Random(2).gauss(0, 1) for _ in range(40)]
    assert median_interval(series) == median_interval(series)


def test_the_interval_narrows_with_the_root_of_the_rounds():
    random = Random(3)
    few, many = (
        np.mean([median_interval(normals(random, count), 500).half_width for _ in range(40)])
        for count in (50, 200)
    )
    assert 0.4 < many / few < 0.6  # (50 / 200) ** 0.5 = 0.5


def normals(random, count):
    return [random.gauss(0, 1) for _ in range(count)]


def test_correlated_rounds_have_a_wider_interval():
    resembling = [float(np.sin(number / 6)) for number in range(200)]
    shuffled = Random(4).sample(resembling, 200)
    assert median_interval(resembling).half_width > 1.5 * median_interval(shuffled).half_width


def test_one_spike_in_thirty_rounds_moves_nothing():
    quiet = [1.0] * 29
    assert median_interval([*quiet, 100.0]) == Interval(1.0, 1.0, 1.0)


def test_the_half_width_of_an_interval_and_whether_it_excludes_one():
    assert Interval(1.5, 1.25, 1.75).half_width == 0.25  # (1.75 - 1.25) / 2
    assert Interval(1.5, 1.25, 1.75).excludes_one
    assert Interval(0.5, 0.25, 0.75).excludes_one
    assert not Interval(1.0, 0.75, 1.25).excludes_one
    assert not Interval(1.5, 1.0, 2.0).excludes_one


def logs(median, low, high):
    return Interval(exp(median), exp(low), exp(high))


def ends(interval):
    return (interval.median, interval.low, interval.high)


def test_a_change_combines_the_far_ends_in_quadrature():
    old = logs(0.10, 0.05, 0.13)  # 0.05 down, 0.03 up
    new = logs(0.30, 0.26, 0.42)  # 0.04 down, 0.12 up
    # The change is least where the new one is low and the old one high: 0.04 and 0.03 make
    # 0.05. It is greatest where the new one is high and the old one low: 0.12 and 0.05, 0.13.
    assert ends(change(old, new)) == pytest.approx(ends(logs(0.20, 0.15, 0.33)))


def test_a_change_back_is_the_inverse():
    old, new = logs(0.10, 0.05, 0.13), logs(0.30, 0.26, 0.42)
    back = change(new, old)
    assert ends(back) == pytest.approx(ends(logs(-0.20, -0.33, -0.15)))


def test_what_is_known_exactly_changes_by_exactly_the_quotient():
    interval = change(Interval(1.25, 1.25, 1.25), Interval(1.5, 1.5, 1.5))
    assert ends(interval) == pytest.approx((1.2, 1.2, 1.2))


def test_equal_runs_change_by_one():
    side = logs(0.10, 0.06, 0.13)  # 0.04 down and 0.03 up: 0.05 either way
    assert ends(change(side, side)) == pytest.approx(ends(logs(0.0, -0.05, 0.05)))


@pytest.mark.parametrize(
    ("old", "new", "low", "high"),
    [
        (Interval(1.0, 0.0, inf), Interval(2.0, 0.0, inf), 0.0, inf),
        (Interval(1.0, 1.0, 1.0), Interval(2.0, 0.0, 2.0), 0.0, 2.0),
        (Interval(1.0, 1.0, 1.0), Interval(2.0, 2.0, inf), 2.0, inf),
        (Interval(1.0, 0.0, 1.0), Interval(2.0, 2.0, 2.0), 2.0, inf),
        (Interval(1.0, 1.0, inf), Interval(2.0, 2.0, 2.0), 0.0, 2.0),
    ],
)
def test_an_infinite_end_stays_infinite_and_leaves_the_other_alone(old, new, low, high):
    assert ends(change(old, new)) == pytest.approx((2.0, low, high))


TRUTH, CHANGE = 1.1, 1.03
"""Of the first run's ratio, and of the second's to it."""


@pytest.mark.parametrize("count", [FEWEST, 30])
@pytest.mark.parametrize("trouble", [{}, {"drift": 0.02, "spikes": 0.05, "heavy_tails": True}])
def test_the_true_change_is_inside_its_interval_in_93_of_100_pairs_of_runs(trouble, count):
    pairs = 400
    intervals = [changed(number, count, **trouble) for number in range(pairs)]
    assert sum(interval.low <= CHANGE <= interval.high for interval in intervals) >= 0.93 * pairs


def test_the_interval_of_a_change_is_not_right_by_being_wide():
    # A ratio of two steps scatters by 0.02 * 2**0.5 and the quotient of two such by 0.02 * 2. A
    # median of 30 scatters by 1.25 / 30**0.5 of that; 1.96 of it either way is 0.018.
    intervals = [changed(number, 30) for number in range(50)]
    assert np.median([interval.half_width for interval in intervals]) < 1.5 * 0.018


def changed(number, count, **trouble):
    """The change between two runs of their own noise, of which the second is of a slower module."""
    old, new = (
        simulated(Machine(seed=seed, noise=0.02, **trouble), truth, count)
        for seed, truth in ((2 * number, TRUTH), (2 * number + 1, TRUTH * CHANGE))
    )
    return change(old, new)


def simulated(machine, truth, count):
    steps = {PLAIN: machine.step(0.1, PLAIN), "sa": machine.step(0.1 * truth, "sa")}
    rounds = islice(Rounds(steps, dict.fromkeys(steps, 1), machine, machine.seed), count)
    return ratio(list(rounds), "sa", resamples=300)
