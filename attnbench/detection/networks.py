"""torchvision's whole detectors on the suite's backbones: what is trained and evaluated.

The hosts of ``attnbench.hosts.detection`` do fixed work and are for timing. Here their backbone,
with the module in it, gets torchvision's proposals, losses, thresholds and non-maximum suppression.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import nn
from torchvision.models.detection import FasterRCNN, MaskRCNN, RetinaNet

from attnbench.detection.options import family
from attnbench.hosts.build import build
from attnbench.hosts.detection import body
from attnbench.modules import AttentionSpec
from attnbench.records.variants import STAGES, Blocks

FAMILIES: dict[str, type[nn.Module]] = {
    "fasterrcnn": FasterRCNN,
    "maskrcnn": MaskRCNN,
    "retinanet": RetinaNet,
}

MOST_SEED = 2**62


def detector(  # noqa: PLR0913  each says what is built
    host: str,
    attention: str | AttentionSpec | None,
    classes: int,
    *,
    size: tuple[int, int] = (800, 1333),
    frozen: bool = True,
    stages: Collection[int] = STAGES,
    blocks: Blocks = "all",
    **settings: Any,
) -> nn.Module:
    """Build a detector in training mode that takes and returns what torchvision's do.

    ``classes`` are without the background; ``size`` is the shorter side and the most of the longer
    to which images are resized; ``stages`` and ``blocks`` carry the module; ``settings`` are
    torchvision's. The heads' initial values are the
    same with any module, under one seed; without ``frozen`` the first stage learns too.
    """
    seed = int(torch.randint(MOST_SEED, ()))
    backbone = build(host, attention, stages=stages, blocks=blocks).backbone
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = FAMILIES[family(host) or ""](
            backbone, num_classes=classes + 1, min_size=size[0], max_size=size[1], **settings
        )
    if not frozen:
        body(network).requires_grad_(True)
    return network


def train_mode(network: nn.Module, *, fixed_norms: bool) -> None:
    """Set training mode; with ``fixed_norms`` the backbone's norms keep their running statistics.

    Their weights and biases learn all the same, as in mmdetection's ``norm_eval``.
    """
    network.train()
    if fixed_norms:
        for module in body(network).modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
