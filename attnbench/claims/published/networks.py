"""Networks of published complexity that are no host: torchvision's, and their ECA variant.

A network that becomes a host with the same placement has no need of a row here.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn
from torchvision.models import mobilenet_v2, shufflenet_v2_x1_0
from torchvision.models.mobilenetv2 import InvertedResidual

from attnbench.modules import create

NARROW = 96
"""Channels from which ECA-MobileNetV2 has a kernel of 3; below it has one of 1."""


def eca_mobilenet_v2() -> nn.Module:
    """Build MobileNetV2 with ECA last in every block, the seven without a shortcut included.

    As in the authors' models/eca_mobilenetv2.py @b332f6b, which its weights call k13.
    """
    network: nn.Module = mobilenet_v2()
    for block in network.modules():
        if isinstance(block, InvertedResidual):
            channels = block.conv[-1].num_features
            size = 1 if channels < NARROW else 3
            block.conv.append(create("eca", channels, kernel_size=size))
    return network


NETWORKS: dict[tuple[str, str | None], Callable[[], nn.Module]] = {
    ("mobilenet_v2", None): mobilenet_v2,
    ("mobilenet_v2", "eca"): eca_mobilenet_v2,
    ("shufflenet_v2_x1_0", None): shufflenet_v2_x1_0,
}
"""Host and module -> what builds the network in float32, for images of 224x224."""
