"""Give the batch norms of an untrained network real statistics.

As built, in evaluation mode, they normalise nothing: their mean is 0 and their variance 1. So
activations grow from block to block, and those of a deep host overflow float16 (ResNet-101 reaches
3.6e5), where a trained one's would not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from io import BytesIO
from math import ceil
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from attnbench import files
from attnbench.errors import UserError

TOTAL_STRIDE = 32
POSITIONS = 64
"""Least values a channel of the last stage has its statistics of."""

FEWEST_IMAGES = 4
"""A module that pools has one value an image."""


_KEPT: ContextVar[Path | None] = ContextVar("_KEPT", default=None)

Norms = Mapping[str, _BatchNorm]
"""Batch norms by their paths in the network."""


@contextmanager
def kept_in(file: Path | None) -> Iterator[None]:
    """Let :func:`estimate` read a network's statistics from a file, or write them where none is.

    It is for one network, size and seed, whose statistics each process would take anew.
    """
    token = _KEPT.set(file)
    try:
        yield
    finally:
        _KEPT.reset(token)


def estimate(model: nn.Module, shape: tuple[int, int], seed: int) -> bool:
    """Take the statistics of every batch norm from one forward of normal noise, in place.

    ``shape`` is the images' height and width. Only the batch norms are in training mode meanwhile:
    no other module of the network can tell. Return whether the forward ran, which a network without
    batch norms does not need; where it fails all is as before.
    """
    norms = {
        path: norm
        for path, norm in model.named_modules()
        if isinstance(norm, _BatchNorm) and norm.track_running_stats
    }
    file = _KEPT.get()
    if not norms or (file is not None and _read(norms, file)):
        return True
    estimated = _estimate(model, [*norms.values()], shape, seed)
    if estimated and file is not None:
        _write(norms, file)
    return estimated


def _estimate(model: nn.Module, norms: list[_BatchNorm], shape: tuple[int, int], seed: int) -> bool:
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


def _write(norms: Norms, file: Path) -> None:
    data = BytesIO()
    torch.save({path: _statistics(norm) for path, norm in norms.items()}, data)
    with suppress(UserError):  # the disk is full: the next process takes them anew
        files.write_whole(file, data.getvalue())


def _read(norms: Norms, file: Path) -> bool:
    """Copy the statistics from the file; return whether it is there."""
    if not file.is_file():
        return False
    for path, statistics in torch.load(file, map_location="cpu", weights_only=True).items():
        for name, value in _statistics(norms[path]).items():
            value.copy_(statistics[name])
    return True


def _statistics(norm: _BatchNorm) -> dict[str, Tensor]:
    return {name: value for name, value in norm.named_buffers() if name != BATCHES}


BATCHES = "num_batches_tracked"
