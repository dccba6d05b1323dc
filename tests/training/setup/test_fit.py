"""What of a custom module is tried before it is trained: at the chosen blocks alone."""

from pathlib import Path
from types import SimpleNamespace

import torch
from torch import nn

from attnbench.hosts.build import build
from attnbench.hosts.conditions import Conditions
from attnbench.plugins import resolve
from attnbench.training.setup import fit

MINE = """
import torch
from torch import nn

class Mine(nn.Module):
    def __init__(self, channels):
        super().__init__()
        if channels == 64:
            raise ValueError("not for 64 channels")
        self.scale = nn.Parameter(torch.ones(channels, 1, 1))
    def forward(self, x):
        return x * self.scale
"""


def task(stages: tuple[int, ...], module: str) -> SimpleNamespace:
    def network(name: str) -> nn.Module:
        chosen = module if name != "plain" else None
        return build("resnet18", chosen, stages=stages, blocks="last", classes=2)

    def loss(net: nn.Module, batch: tuple[torch.Tensor, torch.Tensor], _: object) -> torch.Tensor:
        return nn.functional.cross_entropy(net(batch[0]), batch[1])

    chosen = {"stages": stages, "blocks": "last", "size": 32, "host": "resnet18"}
    return SimpleNamespace(
        **chosen,
        network=network,
        loss=loss,
        begin_training=nn.Module.train,
        trial=lambda: (torch.randn(2, 3, 32, 32), torch.tensor([0, 1])),
    )


def left_out(name: str, stages: tuple[int, ...]) -> dict[str, str]:
    asked = [resolve.parse(name)]
    return fit.left_out(task(stages, name), asked, Conditions("cpu"))


def test_a_custom_module_is_tried_in_the_chosen_stages_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    name = f"{tmp_path / 'mine.py'}:Mine"
    assert left_out(name, (3, 4)) == {}
    (why,) = left_out(name, (1, 2)).values()
    assert "not for 64 channels" in why
