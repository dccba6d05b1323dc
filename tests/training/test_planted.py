"""Networks whose effect is known by construction, from their training to the verdict."""

from pathlib import Path

import pytest
import torch
from helpers import small_training
from helpers.small_training import Net, Squares, train
from torch import nn

from attnbench.stats.gains import Gains


class Grey(nn.Module):
    """The mean of the colours alone, in which all three classes are equal."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(1, keepdim=True).expand_as(x)


class Seeing(Net):
    """The small network, of which some variants see colours: the others cannot tell classes."""

    def __init__(self, variant: str, seeing: set[str]) -> None:
        super().__init__(variant, dropout=0.0)
        self.grey = nn.Identity() if variant in seeing else Grey()
        self.extra = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(self.grey(x))


@pytest.mark.parametrize(
    ("seeing", "verdict"),
    [({"eca"}, "helps"), ({"plain", "control"}, "harms")],
)
def test_what_is_planted_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seeing: set[str], verdict: str
) -> None:
    small_training.use(monkeypatch, Squares(test_images=33))
    monkeypatch.setattr(
        small_training.SmallTask, "network", lambda _, variant: Seeing(variant, seeing)
    )
    recipe = ("epochs=5", "batch_size=4", "learning_rate=0.1", "crop_least=0.5")
    gains = Gains(train(tmp_path, None, recipe, seeds=3))
    assert gains.control_fault is None
    assert gains.gain("eca").verdict == verdict
