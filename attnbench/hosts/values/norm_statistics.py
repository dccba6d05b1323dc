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

BATCHES = "num_batches_tracked"
"""The buffer of a batch norm that is no statistic."""

Norms = Mapping[str, _BatchNorm]
"""Batch norms by their paths in a network."""

_KEPT: ContextVar[Path | None] = ContextVar("_KEPT", default=None)


@contextmanager
def kept_in(file: Path | None) -> Iterator[None]:
    """Let :func:`estimate` read statistics from a file, or write them where it is not there yet.

    It is one network's, by one size of images and one seed. None: neither reads nor writes.
    """
    token = _KEPT.set(file)
    try:
        yield
    finally:
        _KEPT.reset(token)


def estimate(model: nn.Module, shape: tuple[int, int], seed: int) -> bool:
    """Give every batch norm the statistics of one forward of normal noise, in place.

    ``shape`` is the images' height and width. Only the batch norms are in training mode meanwhile:
    no other module of the network can tell. Return whether they have them, which is true of a
    network without batch norms and where a file has them; where the forward fails all is as before.
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
        with suppress(UserError):  # it cannot be written: they are estimated again next time
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
                norm.num_batches_tracked.copy_(state[BATCHES])
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


def _statistics(norms: Norms) -> dict[str, Tensor]:
    return {
        f"{path}.{name}": value
        for path, norm in norms.items()
        for name, value in norm.named_buffers()
        if name != BATCHES
    }


def _write(norms: Norms, file: Path) -> None:
    data = BytesIO()
    torch.save(_statistics(norms), data)
    files.write_whole(file, data.getvalue())


def _read(norms: Norms, file: Path) -> bool:
    """Copy the statistics from a file; return whether it has those of this network."""
    own = _statistics(norms)
    try:
        kept = torch.load(file, map_location="cpu", weights_only=True)
        if {name: value.shape for name, value in kept.items()} != {
            name: value.shape for name, value in own.items()
        }:
            return False
    except Exception:  # of any kind: there is none, or it is damaged
        return False
    for name, value in own.items():
        value.copy_(kept[name])
    return True
