from math import sqrt

import pytest
from helpers.evaluations import evaluation

from attnbench.stats.interval import percent_right, wilson

Z = 1.959964


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
