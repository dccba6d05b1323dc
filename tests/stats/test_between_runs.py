from math import exp, log, sqrt
from random import Random

import pytest

from attnbench.stats import between_runs
from attnbench.stats.between_runs import between, change, known, mean, scatter
from attnbench.stats.interval import Interval


@pytest.fixture(autouse=True)
def assumption(monkeypatch):
    monkeypatch.setattr(between_runs, "ASSUMED", 0.01)
    monkeypatch.setattr(between_runs, "WEIGHT", 6)


def exact(ratio):
    """A ratio whose rounds leave nothing open."""
    return Interval(ratio, ratio, ratio)


def ends(interval):
    return (interval.median, interval.low, interval.high)


def test_the_mean_of_one_run_is_that_run():
    assert ends(mean([Interval(1.2, 1.1, 1.4)])) == pytest.approx((1.2, 1.1, 1.4))


def test_the_mean_is_geometric_and_its_interval_shrinks_with_the_root_of_the_runs():
    interval = mean(
        [Interval(1.0, exp(-0.03), exp(0.06)), Interval(4.0, 4 * exp(-0.04), 4 * exp(0.08))]
    )
    # sqrt(0.03**2 + 0.04**2) / 2 = 0.025, and twice that above.
    assert ends(interval) == pytest.approx((2.0, 2 * exp(-0.025), 2 * exp(0.05)))


def test_no_runs_have_no_mean():
    with pytest.raises(ValueError, match="no runs"):
        mean([])


def test_a_run_too_short_for_an_interval_leaves_the_mean_without_one():
    interval = mean([exact(1.2), Interval(1.2, 0.0, float("inf"))])
    assert ends(interval) == pytest.approx((1.2, 0.0, float("inf")))


def test_one_run_a_side_scatters_as_assumed():
    assert scatter([exact(1.0)], [exact(2.0)]) == (pytest.approx(0.01), 6)


def test_repeated_runs_are_weighed_with_the_assumption():
    old = [exact(exp(value)) for value in (0.00, 0.02, 0.04)]  # squares: 0.0004 + 0 + 0.0004
    new = [exact(exp(value)) for value in (0.50, 0.53)]  # squares: 2 * 0.015**2 = 0.00045
    deviation, freedom = scatter(old, new)
    assert freedom == 6 + 2 + 1
    assert deviation == pytest.approx(sqrt((6 * 0.01**2 + 0.0008 + 0.00045) / 9))


def test_two_sides_differ_by_chance_by_student_s_t_times_the_scatter_of_their_difference():
    old, new = [exact(1.0)] * 2, [exact(1.0)] * 3
    deviation = sqrt(6 * 0.01**2 / 9)
    assert between(old, new) == pytest.approx(2.2622 * deviation * sqrt(1 / 2 + 1 / 3), rel=1e-3)


def test_a_change_has_the_uncertainty_of_its_rounds_and_of_its_runs():
    old, new = [Interval(1.0, exp(-0.01), exp(0.01))], [Interval(1.1, 1.1 * exp(-0.02), 1.1)]
    runs = 2.4469 * 0.01 * sqrt(2)
    interval = change(old, new)
    assert interval.median == pytest.approx(1.1)
    assert log(1.1 / interval.low) == pytest.approx(sqrt(0.02**2 + 0.01**2 + runs**2), rel=1e-3)
    assert log(interval.high / 1.1) == pytest.approx(sqrt(0.01**2 + runs**2), rel=1e-3)


def test_a_ratio_has_the_uncertainty_between_runs() -> None:
    interval = known([Interval(1.1, 1.1 * exp(-0.02), 1.1 * exp(0.02))])
    assert interval.median == pytest.approx(1.1)
    assert log(interval.high / 1.1) == pytest.approx(sqrt(0.02**2 + (2.4469 * 0.01) ** 2), rel=1e-3)
    four = known([exact(1.1)] * 4)  # nine degrees of freedom, and half the deviation
    deviation = sqrt(6 * 0.01**2 / 9) / 2
    assert log(four.high / 1.1) == pytest.approx(2.2622 * deviation, rel=1e-3)


@pytest.mark.parametrize("runs", [1, 3])
@pytest.mark.parametrize("scale", [0.007, 0.01])
def test_the_interval_holds_no_change_in_93_of_100_where_runs_scatter_up_to_the_assumption(
    runs, scale
):
    random = Random(0)

    def side():
        return [exact(exp(random.gauss(0.2, scale))) for _ in range(runs)]

    held = sum(not change(side(), side()).excludes_one for _ in range(1000))
    assert held >= 930
