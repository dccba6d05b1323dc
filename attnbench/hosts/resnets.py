"""The suite's own hosts: torchvision's ResNets, and the detectors that have one in them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from attnbench.hosts.detection import DETECTORS

CLASSES = 1000
"""Of ImageNet, for which every published network here was trained."""


@dataclass(frozen=True)
class Host:
    """Parameters of torchvision's ResNet: blocks a stage, their class, width of their 3x3."""

    layers: tuple[int, int, int, int]
    groups: int = 1
    width_per_group: int = 64
    block: type[BasicBlock | Bottleneck] = Bottleneck


HOSTS = {
    # He et al., arXiv 1512.03385, table 1.
    "resnet18": Host((2, 2, 2, 2), block=BasicBlock),
    "resnet34": Host((3, 4, 6, 3), block=BasicBlock),
    "resnet50": Host((3, 4, 6, 3)),
    "resnet101": Host((3, 4, 23, 3)),
    "resnet152": Host((3, 8, 36, 3)),
    # Xie et al., arXiv 1611.05431; the wider ones are torchvision's.
    "resnext50_32x4d": Host((3, 4, 6, 3), groups=32, width_per_group=4),
    "resnext101_32x8d": Host((3, 4, 23, 3), groups=32, width_per_group=8),
    "resnext101_64x4d": Host((3, 4, 23, 3), groups=64, width_per_group=4),
    # Zagoruyko and Komodakis, arXiv 1605.07146: the 3x3 twice as wide.
    "wide_resnet50_2": Host((3, 4, 6, 3), width_per_group=128),
    "wide_resnet101_2": Host((3, 4, 23, 3), width_per_group=128),
    # The ResNeXt base of the original SKNets (Li et al., arXiv 1903.06586, table 1).
    "sknet50": Host((3, 4, 6, 3), groups=32, width_per_group=4),
    "sknet101": Host((3, 4, 23, 3), groups=32, width_per_group=4),
}


def is_resnet(host: str) -> bool:
    """Return whether it is one of these hosts."""
    return host in HOSTS or host in DETECTORS


def base_of(host: str) -> str:
    """Return the ResNet that is the host or its backbone."""
    return DETECTORS[host].backbone if host in DETECTORS else host


def plain_resnet(host: str, classes: int = CLASSES) -> nn.Module:
    """Build one of them without a module, nothing frozen yet."""
    network: nn.Module = ResNet(**vars(HOSTS[base_of(host)]), num_classes=classes)
    return DETECTORS[host].make(network) if host in DETECTORS else network
