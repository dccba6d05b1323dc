import pytest

from attnbench.stats.student import quantile


@pytest.mark.parametrize(
    ("freedom", "exceeded"),
    [(1, 12.706), (3, 3.1824), (6, 2.4469), (7, 2.3646), (10, 2.2281), (30, 2.0423), (100, 1.9840)],
)
def test_student_s_t_is_that_of_the_printed_tables(freedom, exceeded):
    assert quantile(freedom) == pytest.approx(exceeded, rel=1e-3)
