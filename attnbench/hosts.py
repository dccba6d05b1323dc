"""torchvision's networks with an attention module at its site in every bottleneck."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck, ResNet

from attnbench.modules import Attention, SettingsError, Site, lookup


@dataclass(frozen=True)
class Host:
    """Bottlenecks in each stage, and the groups and width of their 3x3 convolution."""

    layers: tuple[int, int, int, int]
    groups: int = 1
    width_per_group: int = 64


HOSTS = {
    # He et al., arXiv 1512.03385, table 1.
    "resnet50": Host((3, 4, 6, 3)),
    "resnet101": Host((3, 4, 23, 3)),
    # The ResNeXt base of the original SKNets (Li et al., arXiv 1903.06586, table 1).
    "sknet50": Host((3, 4, 6, 3), groups=32, width_per_group=4),
    "sknet101": Host((3, 4, 23, 3), groups=32, width_per_group=4),
}

STAGES = (1, 2, 3, 4)

TOTAL_STRIDE = 32
"""A smaller image would leave the last stage less than one position."""


class AfterBn3(nn.Module):
    """torchvision's bottleneck; its output passes through ``attention`` before the addition."""

    def __init__(self, block: Bottleneck, attention: Attention, settings: dict[str, Any]) -> None:
        super().__init__()
        self.attention_name = attention.name
        self.conv1, self.bn1 = block.conv1, block.bn1
        self.conv2, self.bn2 = block.conv2, block.bn2
        self.conv3, self.bn3 = block.conv3, block.bn3
        self.attention = attention.build(block.conv3.out_channels, **settings)
        self.relu = block.relu
        self.downsample = block.downsample

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.attention(self.bn3(self.conv3(out)))
        out += x if self.downsample is None else self.downsample(x)
        activated: Tensor = self.relu(out)
        return activated


class ReplaceConv2(nn.Module):
    """torchvision's bottleneck with ``attention`` in place of conv2, bn2 and their ReLU."""

    def __init__(self, block: Bottleneck, attention: Attention, settings: dict[str, Any]) -> None:
        super().__init__()
        self.attention_name = attention.name
        self.conv1, self.bn1 = block.conv1, block.bn1
        self.attention = attention.build(
            block.conv2.in_channels, stride=block.conv2.stride[0], **settings
        )
        self.conv3, self.bn3 = block.conv3, block.bn3
        self.relu = block.relu
        self.downsample = block.downsample

    def forward(self, x: Tensor) -> Tensor:
        out = self.attention(self.relu(self.bn1(self.conv1(x))))
        out = self.bn3(self.conv3(out))
        out += x if self.downsample is None else self.downsample(x)
        activated: Tensor = self.relu(out)
        return activated


BLOCKS = {Site.AFTER_BN3: AfterBn3, Site.REPLACE_CONV2: ReplaceConv2}


def build(
    host: str,
    attention: str | Attention | None = None,
    *,
    stages: Collection[int] = STAGES,
    **settings: Any,
) -> ResNet:
    """A host network with 1000 classes: (B, 3, H, W) -> (B, 1000), float32, training mode.

    The host's own parameters keep torchvision's names and, under one seed, torchvision's
    initial values, whatever module is put in; without ``attention`` the network is
    torchvision's. ``settings`` go to every module and override the published ones.

    Raises:
        SettingsError: unknown host, module or stage, or a width that does not divide.
    """
    if host not in HOSTS:
        raise SettingsError(f"unknown host '{host}'; known: {', '.join(HOSTS)}")
    if not set(stages) <= set(STAGES):
        raise SettingsError(f"unknown stages {sorted(set(stages) - set(STAGES))}; known: 1 to 4")
    base = HOSTS[host]
    network = ResNet(
        Bottleneck, list(base.layers), groups=base.groups, width_per_group=base.width_per_group
    )
    if attention is None:
        if settings:
            raise SettingsError(f"settings without a module: {', '.join(settings)}")
        return network
    if isinstance(attention, str):
        attention = lookup(attention)
    block_class = BLOCKS[attention.site]
    for number in sorted(set(stages)):
        stage = network.get_submodule(f"layer{number}")
        chosen = attention.settings(host, number) | settings
        for name, block in stage.named_children():
            stage.register_module(name, block_class(block, attention, chosen))
    return network


def resnet(
    depth: int,
    attention: str | Attention | None = None,
    *,
    stages: Collection[int] = STAGES,
    **settings: Any,
) -> ResNet:
    """:func:`build` by depth: ``resnet(50, attention="sa")``."""
    return build(f"resnet{depth}", attention, stages=stages, **settings)
