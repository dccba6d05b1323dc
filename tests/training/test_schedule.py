from math import cos, pi

import pytest
import torch

from attnbench.records.trainings.recipe import Recipe
from attnbench.training.recipes import recipe
from attnbench.training.schedule import learning_rate, steps_per_epoch


def rates(known: Recipe, per_epoch: int) -> list[float]:
    return [learning_rate(known, step, per_epoch) for step in range(known.epochs * per_epoch)]


def test_steps_fall_when_a_milestone_is_done() -> None:
    known = recipe("pytorchinsight")
    first = [learning_rate(known, epoch * 10, 10) for epoch in (0, 29, 30, 59, 60, 90, 99)]
    assert first == pytest.approx([0.1, 0.1, 0.01, 0.01, 1e-3, 1e-4, 1e-4])
    assert learning_rate(known, 30 * 10 - 1, 10) == pytest.approx(0.1)


def test_exponential_falls_after_each_epoch() -> None:
    known = recipe("ecanet-mobilenetv2")
    assert learning_rate(known, 2 * 7 + 6, 7) == pytest.approx(0.045 * 0.98**2)


def test_one_cycle_is_that_of_torch() -> None:
    known = recipe("short", ["epochs=4"])
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0, momentum=0.9)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, known.learning_rate, total_steps=20)
    expected = []
    for _ in range(20):
        expected.append(cycle.get_last_lr()[0])
        optimizer.step()
        if len(expected) < 20:
            cycle.step()
    assert rates(known, 5) == pytest.approx(expected, abs=1e-12)


def test_a_warm_up_rises_in_a_line() -> None:
    known = recipe("pytorchinsight", ["warm_up_steps=4", "warm_up_from=0.5"])
    assert rates(known, 1)[:5] == pytest.approx([0.05, 0.0625, 0.075, 0.0875, 0.1])


def test_few_steps_have_rates_too() -> None:
    # Of three steps none rises: 0.3 * 3 - 1 < 0. They fall from beyond the top to the end.
    values = rates(recipe("short", ["epochs=3"]), 1)
    assert values[-1] == pytest.approx(0.03 / 25e4)
    assert values[0] == pytest.approx(
        0.03 * (1 / 25e4 + (1 - 1 / 25e4) * (1 + cos(pi * 0.1 / 2.1)) / 2)
    )


@pytest.mark.parametrize(
    ("images", "batch", "processes", "steps"),
    [(16, 8, 1, 2), (17, 8, 1, 2), (18, 8, 1, 3), (18, 8, 2, 2), (20, 8, 2, 3)],
)
def test_a_rest_of_one_image_a_process_is_left_out(
    images: int, batch: int, processes: int, steps: int
) -> None:
    assert steps_per_epoch(images, batch, processes) == steps
