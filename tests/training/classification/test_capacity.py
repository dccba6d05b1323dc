"""The wider host: its layers, and the search for the width whose latency is the module's."""

from collections.abc import Mapping

import pytest
import torch
from helpers.small_training import Squares
from torch import nn

from attnbench.hosts.build import HOSTS, Host, build
from attnbench.hosts.conditions import BASE as PLACE
from attnbench.hosts.placement.choice import Choice
from attnbench.stats.interval import Interval
from attnbench.training.classification import capacity
from attnbench.training.classification.task import Classification
from attnbench.training.classification.wider import build_wider
from attnbench.training.recipes import recipe


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch) -> Classification:
    monkeypatch.setitem(HOSTS, "resnet18", Host((1, 1, 1, 1), block=HOSTS["resnet18"].block))
    return Classification(Squares(), recipe("short"), 32, "resnet18", Choice())


@pytest.mark.parametrize("host", ["resnet18", "resnet50", "resnext50_32x4d"])
def test_with_64_channels_it_is_the_host(host: str) -> None:
    with torch.device("meta"):
        mine, plain = build_wider(host, 64, 10), build(host, classes=10)
    shapes = {name: value.shape for name, value in plain.state_dict().items()}
    assert {name: value.shape for name, value in mine.state_dict().items()} == shapes


def test_every_layer_is_wider_in_proportion() -> None:
    with torch.device("meta"):
        wide = build_wider("resnet18", 96, 10)
    assert wide.conv1.out_channels == 96
    assert wide.layer4[1].conv2.out_channels == 96 * 8
    assert wide.fc.in_features == 768
    assert wide.eval()(torch.empty(1, 3, 32, 32, device="meta")).shape == (1, 10)


@pytest.mark.parametrize(
    ("module_ratio", "base"),
    # By widths of 8 channels, where time grows as the square of width: (72/64)^2 = 1.27 and so on.
    [(1.24, 72), (1.33, 72), (1.7, 80), (2.2, 96), (1.05, None)],
)
def test_the_width_nearest_to_the_modules_latency_is_found(
    task: Classification, module_ratio: float, base: int | None
) -> None:
    def simulated(networks: Mapping[str, nn.Module]) -> dict[str, Interval]:
        widths = {name: network.conv1.out_channels for name, network in networks.items()}
        known = {name: (width / 64) ** 2 for name, width in widths.items()}
        known |= {name: module_ratio for name in networks if name == "eca"}
        return {name: Interval(r, r - 0.01, r + 0.01) for name, r in known.items()}

    with torch.device("meta"):
        width = capacity.choose(task, ("eca",), simulated)
    if base is None:
        assert width is None
    else:
        assert width is not None
        assert (width.base, width.module, width.module_ratio) == (base, "eca", module_ratio)
        assert width.ratio == (base / 64) ** 2
        assert width.ratio_low < width.ratio < width.ratio_high


def test_the_last_rounds_decide(task: Classification) -> None:
    """The module seemed slow at first, and is not beside the wider host."""
    calls = []

    def noisy(networks: Mapping[str, nn.Module]) -> dict[str, Interval]:
        calls.append({*networks})
        known = {"plain": 1.0, "wider": 1.27, "eca": 1.25 if len(calls) == 1 else 0.98}
        return {name: Interval(known[name], 0.9, 1.5) for name in networks}

    with torch.device("meta"):
        assert capacity.choose(task, ("eca",), noisy) is None
    assert calls[-1] == {"plain", "eca", "wider"}


def test_latency_is_a_ratio_to_plain(task: Classification, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "ROUNDS", 2)
    monkeypatch.setattr(capacity.timing, "warm_up", lambda *_: 1)
    measure = capacity.measured(task, PLACE)
    ratios = measure({"plain": task.network("plain"), "eca": task.network("eca")})
    assert ratios["plain"].median == 1.0
    assert ratios["eca"].median > 0
