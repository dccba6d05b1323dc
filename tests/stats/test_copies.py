"""A module's ratio to both copies of the plain host."""

from math import exp, inf, log

import numpy as np
import pytest

from attnbench.records.schema import Block, Round
from attnbench.stats import ratios
from attnbench.stats.interval import median_interval
from attnbench.stats.processes import parts


def rounds_of(*times, process=0):
    """Rounds in which each variant takes the seconds of these mappings."""
    return [
        Round(
            number=number,
            process=process,
            blocks=tuple(Block(variant=v, steps=1, seconds=s) for v, s in seconds.items()),
        )
        for number, seconds in enumerate(times)
    ]


THREE = {"plain": 1.0, "control": 2.0, "sa": 4.0}


def test_a_module_has_a_sample_to_either_copy_and_the_control_one():
    rounds = rounds_of(*[THREE] * 6)
    assert ratios.samples(rounds, "sa") == [((log(4), log(2)), 0)] * 6
    assert ratios.samples(rounds, "control") == [((log(2),), 0)] * 6
    assert ratios.samples(rounds, "sa", baseline="control") == [((log(2),), 0)] * 6
    assert ratios.log_ratios(rounds, "sa") == [log(4)] * 6
    # Half of twelve samples are log 4, the others log 2: the median lies between.
    assert log(ratios.ratio(rounds, "sa").median) == pytest.approx(log(8) / 2)


def test_where_the_control_is_missing_the_plain_host_alone_is_the_baseline():
    without = {name: seconds for name, seconds in THREE.items() if name != "control"}
    rounds = rounds_of(*[THREE] * 5, without)
    assert ratios.samples(rounds, "sa") == [((log(4),), 0)] * 6
    assert ratios.samples(rounds_of({"copy": 1.0, "sa": 2.0}), "sa", baseline="copy") == [
        ((log(2),), 0)
    ]


def test_rounds_are_counted_not_samples():
    assert median_interval([(1.0, 2.0)] * 5).high == inf
    # The sides of both samples of a round are alike in all, so that six rounds know no more than
    # six samples: the extremes.
    known = median_interval([(0.0, 0.1), (1.0, 1.1)] * 3)
    assert (known.low, known.median, known.high) == (0.0, pytest.approx(0.55), 1.1)


def exchangeable(random, rounds):
    """Log-times of three networks alike, with noise of one side: some steps are much slower."""
    return random.exponential(0.03, (rounds, 3))


def to_both(times):
    return [(module - plain, module - control) for plain, control, module in times.tolist()]


def test_slow_steps_do_not_move_the_ratio_as_they_do_that_to_the_mean_of_both():
    times = exchangeable(np.random.default_rng(1), 40_000)
    # The standard error of a median of so many is 0.0003.
    assert np.median(to_both(times)) == pytest.approx(0.0, abs=0.0009)
    # Half of e^-x and half of twice that of two, by hand: the median is near -0.0032.
    assert np.median(times[:, 2] - times[:, :2].mean(axis=1)) < -0.002


@pytest.mark.parametrize("draw", [np.random.Generator.standard_normal, np.random.Generator.laplace])
def test_both_copies_give_narrower_intervals_that_hold_the_truth(draw):
    random, runs = np.random.default_rng(2), 200
    held, one, both = 0, [], []
    for _ in range(runs):
        times = 0.02 * draw(random, size=(60, 3))
        known = median_interval(to_both(times), 100)
        held += known.low <= 0 <= known.high
        both.append(known.half_width)
        one.append(median_interval((times[:, 2] - times[:, 0]).tolist(), 100).half_width)
    assert held >= 0.93 * runs
    # The two sides of a round correlate by 1/3, so the variance is (1 + 1/3) / 2 of one's.
    assert np.mean(both) / np.mean(one) == pytest.approx((2 / 3) ** 0.5, rel=0.08)


def test_two_levels_with_both_copies_by_hand():
    # Medians of the processes 1, 2 and 3, without scatter within: Student's t of two degrees is
    # 4.302652730, and the standard error of their mean sqrt(1 / 3).
    samples = [(value, value) for value in (1.0, 2.0, 3.0) for _ in range(6)]
    known = parts(samples, [0] * 6 + [1] * 6 + [2] * 6)
    assert known.interval.median == pytest.approx(2.0)
    assert known.interval.half_width == pytest.approx(4.302652730 / 3**0.5)
    assert exp(known.rounds) == 1
