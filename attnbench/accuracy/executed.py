"""A checkpoint's network in a runtime that executes a file, and the images that int8 needs."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn
from torchvision.datasets.folder import IMG_EXTENSIONS

from attnbench.errors import UserError
from attnbench.files import write_whole
from attnbench.records.evaluation import Calibration
from attnbench.runtimes import onnx_file
from attnbench.runtimes.artefact import BOUND, INT8, relative_error
from attnbench.runtimes.prepared import Settings
from attnbench.runtimes.table import TABLE

MOST_IMAGES = 64
"""Of the folder for calibration, evenly over its sorted paths."""


@dataclass(frozen=True)
class Executed:
    """What executes the network: from images (at most a batch) to logits, and its error."""

    call: Callable[[torch.Tensor], torch.Tensor]
    relative_error: float
    """To eager PyTorch in float32, as of a run, on the first batch."""


def execute(
    network: nn.Module,
    batch: torch.Tensor,
    runtime: str,
    settings: Settings,
    calibration: Sequence[torch.Tensor] = (),
) -> Executed:
    """Export a network for the shape of a batch, load it, and compare it with eager PyTorch.

    Raises:
        UserError: it cannot be exported, or the runtime computes something else.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.onnx"
        try:
            write_whole(file, onnx_file.export(network, batch))
        except onnx_file.NotExportedError as error:
            raise UserError(f"the network cannot be exported for {runtime}: {error}") from error
        if settings.dtype == "int8":
            quantised = import_module(INT8).quantised(file, calibration)
            write_whole(file, quantised)
        prepared = TABLE[runtime].load()(file, settings)
    with torch.inference_mode():
        difference = relative_error(network(batch), prepared.call(batch))
    if not difference <= BOUND[settings.dtype]:
        raise UserError(
            f"{runtime} in {settings.dtype} gives other logits than eager PyTorch: they differ by "
            f"{difference:.3%} of the largest, and {BOUND[settings.dtype]:.3%} is allowed"
        )

    def call(images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = prepared.call(filled(images, len(batch)))[0]
        return logits[: len(images)]

    return Executed(call, difference)


def filled(images: torch.Tensor, size: int) -> torch.Tensor:
    """Return a batch of that size, the last image repeated: a file has one shape."""
    more = images[-1:].expand(size - len(images), *images.shape[1:])
    return torch.cat((images, more)).contiguous()


def calibration(
    folder: Path, transform: Callable[[Any], torch.Tensor], size: int
) -> tuple[Calibration, list[torch.Tensor]]:
    """Read images anywhere in a folder; return what is recorded of them, and batches of a size.

    Raises:
        UserError: there is none, or one that cannot be read.
    """
    try:
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMG_EXTENSIONS)
    except OSError as error:
        raise UserError(f"cannot take images from {folder}: {error.strerror}") from error
    if not files:
        raise UserError(f"{folder} holds no images to calibrate int8 on")
    step = max(1, len(files) / MOST_IMAGES)
    chosen = [files[int(number * step)] for number in range(min(len(files), MOST_IMAGES))]
    images, digest = [], hashlib.sha256()
    for path in chosen:
        try:
            digest.update(path.read_bytes())
            with Image.open(path) as image:
                images.append(transform(image.convert("RGB")))
        except Exception as error:  # Pillow raises many kinds for malformed files
            raise UserError(f"{path} cannot be read as an image: {error}") from error
    batches = [filled(part, size) for part in torch.stack(images).split(size)]
    known = Calibration(name=folder.resolve().name, images=len(images), sha256=digest.hexdigest())
    return known, batches
