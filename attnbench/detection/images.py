"""Images in a folder with their boxes and masks, as torchvision's detectors take them."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import to_tensor

from attnbench.detection.annotations import Annotations
from attnbench.detection.package import masks
from attnbench.errors import UserError
from attnbench.text import error_line

Target = dict[str, Tensor]

SHOWN = 3


class DetectionImages:
    """The images of a file of annotations, read from a folder.

    Raises:
        UserError: an image is not in the folder.
    """

    def __init__(self, annotations: Annotations, folder: Path, labels: Mapping[int, int]) -> None:
        self.annotations, self.folder, self.labels = annotations, folder, labels
        files = [folder / image["file_name"] for image in annotations.images]
        absent = [str(file) for file in files if not file.is_file()]
        if absent:
            shown = ", ".join(absent[:SHOWN]) + (", ..." if len(absent) > SHOWN else "")
            raise UserError(
                f"{len(absent):,} of the {len(files):,} images of {annotations.file} are not "
                f"there: {shown}"
            )

    def __len__(self) -> int:
        return len(self.annotations.images)

    def image(self, place: int) -> Tensor:
        """Return an image (3, height, width), values 0 to 1.

        Raises:
            UserError: it cannot be read, or has another size than its annotations say.
        """
        entry = self.annotations.images[place]
        file = self.folder / entry["file_name"]
        try:
            with Image.open(file) as image:
                pixels: Tensor = to_tensor(image.convert("RGB"))
        except Exception as error:  # Pillow raises many kinds for malformed files
            raise UserError(f"{file} cannot be read as an image: {error_line(error)}") from error
        height, width = pixels.shape[-2:]
        if (width, height) != (entry["width"], entry["height"]):
            raise UserError(
                f"{file} is {width}x{height} pixels (width x height); {self.annotations.file} "
                f"says {entry['width']}x{entry['height']}"
            )
        return pixels

    def sample(self, place: int, *, with_masks: bool, flipped: bool = False) -> Any:
        """Return an image to train on and its target; mirrored if ``flipped``.

        Crowds and boxes without an area are left out. The target holds ``boxes`` (n, 4), corners in
        pixels, ``labels`` (n), and ``masks`` (n, height, width).

        Raises:
            UserError: the image cannot be read, or a mask is none.
        """
        pixels = self.image(place)
        entry = self.annotations.images[place]
        of_image = self.annotations.objects[entry["id"]]
        corners = torch.tensor([known["bbox"] for known in of_image], dtype=torch.float32)
        corners = corners.reshape(-1, 4)
        corners[:, 2:] += corners[:, :2]
        target: Target = {
            "boxes": corners,
            "labels": torch.tensor(
                [self.labels[known["category_id"]] for known in of_image]
            ).long(),
        }
        if with_masks:
            size = (entry["height"], entry["width"])
            decoded = [self._mask(known, size) for known in of_image]
            stacked = np.stack(decoded) if decoded else np.zeros((0, *size), np.uint8)
            target["masks"] = torch.from_numpy(stacked)
        if flipped:
            width = pixels.shape[-1]
            pixels = pixels.flip(-1)
            target["boxes"] = width - target["boxes"][:, [2, 1, 0, 3]]
            target["boxes"][:, [1, 3]] = corners[:, [1, 3]]
            if with_masks:
                target["masks"] = target["masks"].flip(-1)
        return pixels, target

    def _mask(self, annotation: Mapping[str, Any], size: tuple[int, int]) -> NDArray[np.uint8]:
        try:
            return masks(annotation["segmentation"], size)
        except UserError as error:
            where = f"{self.annotations.file}: annotation {annotation['id']}"
            raise UserError(f"{where}: {error}") from error

    def digest(self) -> str:
        """Return one SHA-256 of the annotations' file and every image, in the file's order.

        That of what ``sha256sum FILES | cut -c 1-64`` prints.
        """
        files = (self.folder / image["file_name"] for image in self.annotations.images)
        lines = [
            f"{sha256(file.read_bytes()).hexdigest()}\n" for file in (self.annotations.file, *files)
        ]
        return sha256("".join(lines).encode()).hexdigest()
