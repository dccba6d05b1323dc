"""Against the table of quantiles in Abramowitz and Stegun 1964, table 26.10 (two sides, 95%)."""

from math import sqrt

import pytest

from attnbench.stats import student

TABLE = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 10: 2.228, 29: 2.045, 120: 1.980}


@pytest.mark.parametrize(("freedom", "expected"), TABLE.items())
def test_quantiles_are_those_of_the_table(freedom: int, expected: float) -> None:
    assert student.quantile(freedom) == pytest.approx(expected, abs=6e-4)


def test_one_and_two_degrees_have_closed_forms() -> None:
    # tan(pi * 0.475), and 2 (p - 1/2) sqrt(2 / (4 p (1 - p))) at p = 0.975.
    assert student.quantile(1) == pytest.approx(12.7062047, abs=1e-6)
    assert student.quantile(2) == pytest.approx(0.95 * sqrt(2 / (4 * 0.975 * 0.025)), abs=1e-9)


def test_without_freedom_there_is_none() -> None:
    with pytest.raises(ValueError, match="no degrees"):
        student.quantile(0)
