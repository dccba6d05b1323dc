"""Gains by hand, and planted effects: how often each is found."""

from math import inf, sqrt
from statistics import NormalDist

import numpy as np
import pytest
from helpers.trainings import IMAGES, bits, done, epoch, training, trainings

from attnbench.records.trainings.schema import Entry, Fault, Trainings
from attnbench.stats import student
from attnbench.stats.gains import Gains, paired, seeds_to_settle
from attnbench.stats.interval import Interval

Z = NormalDist().inv_cdf(0.975)


def test_a_gain_is_the_mean_of_paired_differences() -> None:
    # Differences of 4, 8 and 12 images in 400: 0.01, 0.02, 0.03; deviation 0.01.
    last = {"plain": [300, 310, 305], "control": [301, 308, 306], "sa": [304, 318, 317]}
    gains = Gains(trainings(last))
    gain = gains.gain("sa")
    assert gain is not None
    reach = 4.302653 * 0.01 / sqrt(3)
    assert (gain.gain.median, gain.gain.low, gain.gain.high) == pytest.approx(
        (0.02, 0.02 - reach, 0.02 + reach), abs=1e-6
    )
    assert gain.mean == pytest.approx((304 + 318 + 317) / 3 / IMAGES)
    assert gain.verdict == "no significant difference"  # 0.0248 on each side
    assert gains.control_fault is None


def test_verdicts_need_a_control_that_holds() -> None:
    plain = [300, 300, 301]
    held = Gains(trainings({"plain": plain, "control": [301, 299, 301], "sa": [340, 341, 340]}))
    assert held.gain("sa").verdict == "helps"
    assert held.gain("control").verdict == "none"
    harmed = Gains(trainings({"plain": plain, "control": [301, 299, 301], "sa": [250, 251, 250]}))
    assert harmed.gain("sa").verdict == "harms"
    failed = Gains(trainings({"plain": plain, "control": [320, 321, 320], "sa": [340, 341, 340]}))
    assert "significantly different from itself" in str(failed.control_fault)
    assert failed.gain("sa").verdict == "none"


def test_one_seed_has_no_interval_and_no_verdict() -> None:
    gains = Gains(trainings({"plain": [300], "control": [300], "sa": [380]}))
    gain = gains.gain("sa")
    assert (gain.gain.low, gain.gain.high) == (-inf, inf)
    assert (gain.verdict, gain.to_settle) == ("none", None)
    assert "two seeds" in str(gains.control_fault)


def test_seeds_that_agree_by_chance_are_not_certain() -> None:
    """One image more with each of three seeds is within what counting whole images leaves open."""
    interval = paired([1 / IMAGES] * 3, IMAGES)
    reach = student.quantile(2) * sqrt(1 / 6) / IMAGES / sqrt(3)
    assert interval.high - interval.median == pytest.approx(reach)
    assert interval.low < 0 < interval.high
    assert paired([4 / IMAGES] * 3, IMAGES).low > 0


def test_seeds_to_settle() -> None:
    # A deviation of 0.01 with n seeds: t(n - 1) * 0.01 / sqrt(n) <= 0.005 from n = 18 on:
    # 2.110 / sqrt(18) = 0.4973, and 2.120 / sqrt(17) = 0.5141.
    assert seeds_to_settle([0.0, 0.01, 0.02], 10_000, 0.005) == 18
    # Of a hundred times the deviation 1e4 times as many as 1.96**2 / 0.25.
    assert seeds_to_settle([0.0, 1.0, 2.0], 10_000, 0.005) == 100_000  # the most that is said
    assert seeds_to_settle([0.0, 0.1, 0.2], 10_000, 0.005) == int((Z * 20) ** 2) + 1
    assert seeds_to_settle([0.01], 10_000, 0.005) is None


def test_the_tests_own_error_is_of_the_same_images() -> None:
    """SA is right on 8 images more, and on none less, than plain: a share of 0.02 of them."""
    plan = training(seeds=1)
    gains = Gains(Trainings(plan, done(plan, {"plain": [300], "control": [300], "sa": [308]})))
    expected = Z * sqrt(0.02 * 0.98 * IMAGES / (IMAGES - 1)) / sqrt(IMAGES)
    assert gains.gain("sa").sampling == pytest.approx(expected)
    # As many right, but others: 100 lost and 100 won of 400.
    swapped = [
        *done(plan, {"plain": [300], "control": [300]}),
        Entry(variant="sa", seed=0, epoch=epoch(1, 300)),
        Entry(variant="sa", seed=0, epoch=epoch(2, 300, answers=bits(300, shift=100))),
    ]
    gains = Gains(Trainings(plan, swapped))
    assert gains.gain("sa").gain.median == 0
    expected = Z * sqrt(0.5 * IMAGES / (IMAGES - 1)) / sqrt(IMAGES)
    assert gains.gain("sa").sampling == pytest.approx(expected)


def test_without_each_images_answer_its_error_is_not_stated() -> None:
    plan = training(seeds=1)
    entries = [
        Entry(variant=variant, seed=0, epoch=epoch(number, 300))
        for variant in plan.variants
        for number in (1, 2)
    ]
    assert Gains(Trainings(plan, entries)).gain("sa").sampling is None


def test_the_figure_is_the_last_epochs_and_the_best_is_named_as_such() -> None:
    known = trainings({"plain": [280, 280], "control": [280, 281], "sa": [290, 290]})
    gain = Gains(known).gain("sa")  # the first epoch had 300 of both
    assert gain.mean == pytest.approx(290 / IMAGES)
    assert gain.best == pytest.approx(300 / IMAGES)
    assert gain.best_gain == 0
    averaged = trainings({"plain": [280, 280], "control": [280, 281], "sa": [290, 290]}, last=2)
    assert Gains(averaged).gain("sa").mean == pytest.approx((300 + 290) / 2 / IMAGES)


def test_pairs_are_of_seeds_that_are_done_on_both_sides() -> None:
    plan = training(seeds=3)
    entries = done(
        plan,
        {"plain": [300, 300], "control": [300, 301], "sa": [310, 390, 390]},
        faults={("plain", 2): Fault(kind="loss", message="no number")},
    )
    gains = Gains(Trainings(plan, entries))
    assert gains.pairs("sa") == [0, 1]
    assert gains.gain("sa").seeds == 2
    assert gains.differences("sa") == pytest.approx([10 / IMAGES, 90 / IMAGES])


def planted(gain: float, scatter: float, seeds: int, times: int) -> dict[str, float]:
    """How often each verdict is given, of accuracies drawn with a known truth."""
    random = np.random.default_rng(1)
    images, found = 10_000, dict.fromkeys(("helps", "harms", "no significant difference"), 0)
    for _ in range(times):
        differences = random.normal(gain, scatter, seeds)
        interval = paired([round(d * images) / images for d in differences], images)
        verdict = "helps" if interval.low > 0 else "harms" if interval.high < 0 else None
        found[verdict or "no significant difference"] += 1
    return {name: count / times for name, count in found.items()}


def test_planted_gains_are_found_and_absent_ones_are_not() -> None:
    """0.05 of 1000 verdicts with 0.007 standard deviation; 3 of them are allowed."""
    none = planted(0.0, 0.01, seeds=3, times=1000)
    assert none["no significant difference"] == pytest.approx(0.95, abs=0.021)
    # Ten deviations of the mean: t of 2 degrees is 4.3.
    assert planted(0.06, 0.01, seeds=3, times=200)["helps"] > 0.9
    assert planted(-0.06, 0.01, seeds=3, times=200)["harms"] > 0.9
    # A gain of half a deviation is within what three seeds leave open, and found with fifty.
    assert planted(0.005, 0.01, seeds=3, times=200)["helps"] < 0.2
    assert planted(0.005, 0.01, seeds=50, times=200)["helps"] > 0.9


def test_precisions_count_no_images() -> None:
    """4.303 / sqrt(3) deviations of 0.01 about 0.04; and nothing where all seeds agree."""
    interval = paired([0.03, 0.04, 0.05], None)
    assert interval.median == pytest.approx(0.04)
    assert interval.high - interval.median == pytest.approx(4.3027 * 0.01 / 3**0.5, rel=1e-4)
    assert paired([0.0, 0.0, 0.0], None) == Interval(0.0, -inf, inf)
    assert seeds_to_settle([0.0, 0.0, 0.0], None, 0.005) is None
