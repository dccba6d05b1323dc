"""What is tried before anything is trained: hosts, and modules at the chosen blocks alone."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from attnbench.errors import UserError
from attnbench.hosts import check_host
from attnbench.hosts.build import build
from attnbench.hosts.conditions import Conditions
from attnbench.hosts.placement.choice import Choice
from attnbench.modules import SettingsError
from attnbench.plugins import resolve
from attnbench.training import recipes
from attnbench.training.classification.digits import Digits
from attnbench.training.classification.task import Classification
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

HOST = """
from torch import nn
from torchvision.models.resnet import BasicBlock, ResNet

def net():
    return ResNet(BasicBlock, [1, 1, 1, 1], num_classes={classes})
"""


def task(stages: tuple[int, ...], module: str) -> SimpleNamespace:
    def network(name: str) -> nn.Module:
        chosen = module if name != "plain" else None
        return build("resnet18", chosen, stages=stages, blocks="last", classes=2)

    def loss(net: nn.Module, batch: tuple[torch.Tensor, torch.Tensor], _: object) -> torch.Tensor:
        return nn.functional.cross_entropy(net(batch[0]), batch[1])

    chosen = {"where": Choice(stages, "last"), "size": 32, "host": "resnet18"}
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


def classification(host: str, size: int = 32) -> Classification:
    recipe = recipes.recipe("short")
    return Classification(Digits(), recipe, size, host, Choice())


def test_a_network_of_torchvision_is_trained_for_the_datas_classes() -> None:
    task = classification("mnasnet0_5")
    fit.require_host(task)
    assert fit.left_out(task, [resolve.parse("eca")], Conditions("cpu")) == {}
    network = task.network("eca")
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    plain = task.network("plain")
    added = sum(p.numel() for p in network.parameters()) - sum(
        p.numel() for p in plain.parameters()
    )
    assert added > 0


@pytest.mark.parametrize(
    ("classes", "message"), [(5, "tells 5 classes, and digits has 10"), (12, None)]
)
def test_a_host_in_a_file_has_its_own_number_of_classes(
    tmp_path: Path, classes: int, message: str | None
) -> None:
    (tmp_path / "host.py").write_text(HOST.format(classes=classes))
    task = classification(f"{tmp_path / 'host.py'}:net")
    if message is None:
        fit.require_host(task)
        assert task.network("plain")(torch.zeros(2, 3, 32, 32)).shape == (2, 12)
        return
    with pytest.raises(UserError, match=message):
        fit.require_host(task)


def test_what_a_run_refuses_is_said_of_train(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise SettingsError("--mode training takes its loss from logits (batch, classes)")

    monkeypatch.setattr(check_host, "apart", refused)
    with pytest.raises(UserError, match=r"^train takes its loss from logits \(batch, classes\)$"):
        fit.require_host(classification("googlenet"))
