"""Images of a folder as batches that a network's file takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torchvision.transforms.functional import to_tensor

from attnbench.records.evaluation import Calibration
from attnbench.runtimes.int8 import calibration

BEYOND = 256 / 224
"""How much larger an image is than what is cropped from it, as is usual for ImageNet."""

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's colours, red first; as torchvision's weights have them."""


def filled(images: torch.Tensor, size: int) -> torch.Tensor:
    """Return a batch of that size, the last image repeated: a file has one shape."""
    more = images[-1:].expand(size - len(images), *images.shape[1:])
    return torch.cat((images, more)).contiguous()


def batches(
    folder: Path, transform: Callable[[Any], torch.Tensor], size: int
) -> tuple[Calibration, list[torch.Tensor]]:
    """Read a folder's images; return what is recorded of them, and batches of a size.

    Raises:
        UserError: there is none, or one that cannot be read.
    """
    known, made = calibration.read(folder, transform)
    return known, [filled(part, size) for part in torch.stack(made).split(size)]


def cropped(height: int, width: int) -> Callable[[Image.Image], torch.Tensor]:
    """Return the transform to (3, height, width) in float32: resized, cropped, normalised.

    Of a square it is that of ``evaluate``; else the image is the least that covers the crop.
    """
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))

    def transform(image: Image.Image) -> torch.Tensor:
        scale = max(round(height * BEYOND) / image.height, round(width * BEYOND) / image.width)
        # Cut off, not rounded, as torchvision does.
        size = (int(image.width * scale + 1e-6), int(image.height * scale + 1e-6))
        larger = image.resize(size, Image.Resampling.BILINEAR)
        left, top = round((size[0] - width) / 2), round((size[1] - height) / 2)
        part = larger.crop((left, top, left + width, top + height))
        pixels: torch.Tensor = to_tensor(part)
        return (pixels - mean) / std

    return transform
