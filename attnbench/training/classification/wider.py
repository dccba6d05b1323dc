"""The plain host with wider layers: would its milliseconds help as much as a module's?"""

from __future__ import annotations

from torch import nn
from torchvision.models.resnet import ResNet

from attnbench.hosts.build import HOSTS

BASE = 64
"""Channels of the stem of every host; each stage doubles them."""

STEP = {False: 8, True: 16}
"""By how many channels the stem grows, without and with groups, whose widths are whole numbers."""


def step_of(host: str) -> int:
    """Return the least number of channels by which the host's stem can be wider."""
    return STEP[HOSTS[host].groups > 1]


def build_wider(host: str, base: int, classes: int) -> nn.Module:
    """Build a host with ``base`` channels in its stem instead of 64, all layers in proportion.

    With 64 it is torchvision's network. Initial values are torchvision's (He et al., fan out).
    """
    known = HOSTS[host]
    network = ResNet(**vars(known), num_classes=classes)
    network.inplanes = base
    network.conv1 = nn.Conv2d(3, base, kernel_size=7, stride=2, padding=3, bias=False)
    network.bn1 = nn.BatchNorm2d(base)
    for number, blocks in enumerate(known.layers):
        stride = 1 if number == 0 else 2
        stage = network._make_layer(known.block, base * 2**number, blocks, stride=stride)
        setattr(network, f"layer{number + 1}", stage)
    network.fc = nn.Linear(base * 8 * known.block.expansion, classes)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    wider: nn.Module = network
    return wider
