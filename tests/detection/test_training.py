import pytest
import torch
from torch import nn

from attnbench.detection.schedules import SCHEDULES
from attnbench.detection.training import loss, optimiser, step

SCHEDULE = SCHEDULES["short"]


class TwoLosses(nn.Module):
    """As a detector in training: losses by name, here (weight - 1)^2 times 1 and 3."""

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.weight, self.factor = nn.Parameter(torch.zeros(1)), factor

    def forward(self, images, targets):  # noqa: ARG002  as torchvision's
        error = self.factor * (self.weight - 1).square().sum()
        return {"boxes": error, "classes": 3 * error}


def test_the_loss_is_the_sum() -> None:
    assert loss(TwoLosses(), [], []).item() == 4


def test_a_step_goes_down_at_the_rate() -> None:
    network = TwoLosses()
    optimizer = optimiser(network, SCHEDULE)
    assert step(network, [], [], optimizer, SCHEDULE, rate=0.1) == 4
    # The gradient of 4 (w - 1)^2 at 0 is -8; weight decay of a zero weight is nothing.
    assert network.weight.item() == pytest.approx(0.8)


def test_a_large_gradient_is_scaled_down() -> None:
    network = TwoLosses(factor=1e6)
    step(network, [], [], optimiser(network, SCHEDULE), SCHEDULE, rate=0.1)
    assert network.weight.item() == pytest.approx(0.1 * 10, rel=1e-4)  # the norm of "short" is 10


def test_a_loss_that_is_not_finite_changes_nothing() -> None:
    network = TwoLosses(factor=float("nan"))
    with pytest.raises(FloatingPointError, match="the loss is nan"):
        step(network, [], [], optimiser(network, SCHEDULE), SCHEDULE, rate=0.1)
    assert network.weight.item() == 0
