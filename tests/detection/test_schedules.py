import pytest

from attnbench.detection.schedules import SCHEDULES


def test_the_papers_schedules() -> None:
    once, twice = SCHEDULES["1x"], SCHEDULES["2x"]
    assert (once.epochs, once.milestones) == (12, (8, 11))
    assert (twice.epochs, twice.milestones) == (24, (16, 22))
    for schedule in (once, twice):
        assert (schedule.batch_size, schedule.learning_rate) == (16, 0.02)
        assert (schedule.most_norm, schedule.shorter, schedule.longer) == (35, 800, 1333)
        assert (schedule.norms, schedule.frozen, schedule.flip) == ("fixed", True, 0.5)
    assert SCHEDULES["2x-retinanet"].learning_rate == 0.01
    assert all(schedule.source for schedule in SCHEDULES.values())


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (0, 0.02 / 3),  # warm-up begins at a third
        (250, 0.02 * (1 - 1 / 2 * 2 / 3)),  # half way
        (500, 0.02),
        (8 * 1000 - 1, 0.02),
        (8 * 1000, 0.002),
        (11 * 1000, 0.0002),
    ],
)
def test_the_rate_of_a_step(step: int, rate: float) -> None:
    assert SCHEDULES["1x"].rate(step, 1000) == pytest.approx(rate)
