"""What training a detector needs beside an engine: its loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from attnbench.detection.images import Target


def loss(network: nn.Module, images: Sequence[Tensor], targets: Sequence[Target]) -> Tensor:
    """Return the sum of a detector's losses, each a mean over the batch: a scalar.

    Images (3, height, width), 0 to 1; targets as ``DetectionImages.sample`` gives them. One without
    objects counts as background.
    """
    losses: dict[str, Tensor] = network(list(images), [dict(target) for target in targets])
    return torch.stack([*losses.values()]).sum()
