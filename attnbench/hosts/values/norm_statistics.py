"""Give the batch norms of an untrained network real statistics.

As built, in evaluation mode, they normalise nothing: their mean is 0 and their variance 1. So
activations grow from block to block, and those of a deep host overflow float16 (ResNet-101 reaches
3.6e5), where a trained one's would not.
"""

from __future__ import annotations

from math import ceil

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

TOTAL_STRIDE = 32
POSITIONS = 64
"""Least values a channel of the last stage has its statistics of."""

FEWEST_IMAGES = 4
"""A module that pools has one value an image."""


def estimate(model: nn.Module, shape: tuple[int, int], seed: int) -> bool:
    """Take the statistics of every batch norm from one forward of normal noise, in place.

    ``shape`` is the images' height and width. Only the batch norms are in training mode meanwhile:
    no other module of the network can tell. Return whether the forward ran, which a network without
    batch norms does not need; where it fails all is as before.
    """
    norms = [
        norm
        for norm in model.modules()
        if isinstance(norm, _BatchNorm) and norm.track_running_stats
    ]
    if not norms:
        return True
    modes = {module: module.training for module in model.modules()}
    momenta = [norm.momentum for norm in norms]
    before = [{name: value.clone() for name, value in norm.named_buffers()} for norm in norms]
    try:
        model.eval()
        for norm in norms:
            norm.train()
            norm.momentum = 1.0  # the statistics are this forward's alone
        with torch.no_grad():
            model(images(shape, seed, next(model.parameters()).device))
        return True
    except Exception:  # of any kind: what cannot run here is found where it is measured
        _restore(norms, before)
        return False
    finally:
        for norm, momentum, state in zip(norms, momenta, before, strict=True):
            norm.momentum = momentum
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked.copy_(state["num_batches_tracked"])
        for module, training in modes.items():
            module.training = training


def images(shape: tuple[int, int], seed: int, device: torch.device) -> Tensor:
    """Draw as many images as the last stage needs: (count, 3, height, width)."""
    positions = (shape[0] // TOTAL_STRIDE) * (shape[1] // TOTAL_STRIDE)
    count = max(FEWEST_IMAGES, ceil(POSITIONS / max(positions, 1)))
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, *shape, generator=generator).to(device)


def _restore(norms: list[_BatchNorm], before: list[dict[str, Tensor]]) -> None:
    for norm, state in zip(norms, before, strict=True):
        for name, value in norm.named_buffers():
            value.copy_(state[name])
