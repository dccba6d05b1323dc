"""The user's images that int8 takes its ranges from: which of a folder, and what identifies them.

Known before torch is imported, so that a folder that will not do is refused before anything else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TypeVar

from PIL import Image

from attnbench.errors import UserError
from attnbench.files import resolved
from attnbench.records.evaluation import Calibration

Made = TypeVar("Made")

MOST_IMAGES = 64
"""Of a folder, evenly over its sorted paths."""

ENDINGS = (
    *(".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"),  # torchvision's
)


def chosen(folder: Path) -> list[Path]:
    """Return the images of a folder and the folders in it that are calibrated on.

    Raises:
        UserError: there is none, or the folder cannot be read.
    """
    if not folder.is_dir():
        raise UserError(f"cannot take images from {folder}: no such folder")
    try:
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS)
    except OSError as error:
        raise UserError(f"cannot take images from {folder}: {error.strerror}") from error
    if not files:
        raise UserError(f"{folder} holds no images to calibrate int8 on ({', '.join(ENDINGS)})")
    step = max(1, len(files) / MOST_IMAGES)
    return [files[int(number * step)] for number in range(min(len(files), MOST_IMAGES))]


def read(folder: Path, made_of: Callable[[Image.Image], Made]) -> tuple[Calibration, list[Made]]:
    """Read the chosen images; return what identifies them, and what is made of each, in RGB.

    Raises:
        UserError: there is none, or one that cannot be read.
    """
    made, digest = [], hashlib.sha256()
    for path in chosen(folder):
        try:
            data = path.read_bytes()
            digest.update(data)
            with Image.open(BytesIO(data)) as image:
                made.append(made_of(image.convert("RGB")))
        except Exception as error:  # Pillow raises many kinds for malformed files
            reason = getattr(error, "strerror", None) or "it is damaged, or no such format"
            raise UserError(f"{path} cannot be read as an image: {reason}") from error
    name = resolved(folder).name or "images"
    return Calibration(name=name, images=len(made), sha256=digest.hexdigest()), made


def described(known: Calibration) -> str:
    """Return what identifies the images as a case states it."""
    return f"{known.name}: {known.images} images, SHA-256 {known.sha256}"


def identify(folder: Path) -> str:
    """Return what identifies a folder's images, each of which is decoded.

    Raises:
        UserError: there is none, or one that cannot be read.
    """
    return described(read(folder, lambda _: None)[0])
