import torch
from torch import nn

from attnbench.detection.training import loss


class TwoLosses(nn.Module):
    """As a detector in training: losses by name, here (weight - 1)^2 times 1 and 3."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, images, targets):  # noqa: ARG002  as torchvision's
        error = (self.weight - 1).square().sum()
        return {"boxes": error, "classes": 3 * error}


def test_the_loss_is_the_sum() -> None:
    assert loss(TwoLosses(), [], []).item() == 4
