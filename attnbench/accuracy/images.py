"""Read a folder of images by class, and evaluate logits, as is usual for ImageNet."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import torch
from PIL import Image, UnidentifiedImageError
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.datasets.folder import IMG_EXTENSIONS

from attnbench.errors import UserError
from attnbench.files import resolved
from attnbench.records.evaluation import Data, Preprocessing

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Red, green and blue (0 to 1) of ImageNet's training images, as every source here uses."""

SHOWN = 5
"""How many folders an error message names."""

Order = Literal["sorted", "numbers"]


class Folder(ImageFolder):  # type: ignore[misc]  # torchvision has no types
    """torchvision's dataset, with the class numbers of a network of ``classes`` classes.

    Raises:
        UserError: no folders of images, or folders that cannot be the network's classes.
    """

    order: Order

    def __init__(self, path: Path, classes: int) -> None:
        self.network_classes = classes
        try:
            _require_each_once(path)
            super().__init__(str(path.absolute()))
        except OSError as error:  # torchvision's too: a class without images
            raise UserError(f"cannot take images from {path}: {_first_line(error)}") from error

    def find_classes(self, directory: str) -> tuple[list[str], dict[str, int]]:
        """Return the class folders, sorted by name, and the class number of each."""
        path = Path(directory)
        names = sorted(p.name for p in path.iterdir() if p.is_dir() and p.name[0] != ".")
        if not names:
            raise UserError(f"{path} holds no folders; expected is a folder of images a class")
        self.order, numbers = class_numbers(names, self.network_classes)
        return names, dict(zip(names, numbers, strict=True))

    @property
    def others(self) -> int:
        """The number of files in the class folders that are not images by suffix; not evaluated."""
        root = Path(self.root)
        files = (file for name in self.classes for file in (root / name).rglob("[!.]*"))
        return sum(
            not file.name.lower().endswith(IMG_EXTENSIONS) and file.is_file() for file in files
        )


def _require_each_once(path: Path) -> None:
    """Refuse links through which images would be evaluated twice, or without an end.

    Raises:
        UserError: a class folder holds a link to a folder, or is the folder of another class.
        OSError: a folder that cannot be read.
    """
    classes = sorted(p for p in path.iterdir() if p.is_dir() and p.name[0] != ".")
    places: dict[Path, Path] = {resolved(path): path}
    for folder in classes:
        place = resolved(folder)
        if other := places.get(place):
            raise UserError(f"{folder} and {other} are the same folder: one of them is a link")
        places[place] = folder
    for place, folder in places.items():
        outer = next((places[above] for above in place.parents if above in places), path)
        if outer != path:
            raise UserError(f"{folder} lies in {outer}, whose images would count twice")
    for folder in classes:
        for where, folders, _ in os.walk(folder):
            links = (inner for name in folders if (inner := Path(where, name)).is_symlink())
            for link in links:
                raise UserError(f"{link} is a link to a folder, and is not followed: remove it")


def class_numbers(names: Sequence[str], classes: int) -> tuple[Order, list[int]]:
    """Return each folder's class in a network of so many classes, and the rule that gives it.

    If all names are whole numbers, these are the classes, in any number of folders (sorted by name,
    10 would come before 2). Otherwise there is a folder for every class, and the sorted names are
    the classes 0, 1, ..., as the networks of torchvision were trained.

    Raises:
        UserError: numbers out of range or used twice, or other names whose count is not that of
            the classes, so that the classes are unknown.
    """
    if all(name.isascii() and name.isdecimal() for name in names):
        numbers = [int(name) for name in names]
        beyond = [name for name, number in zip(names, numbers, strict=True) if number >= classes]
        if beyond:
            raise UserError(
                f"the network has the classes 0 to {classes - 1}; there are folders "
                f"{_listed(beyond)}"
            )
        if len(set(numbers)) < len(numbers):
            raise UserError("two folders are named by the same number")
        return "numbers", numbers
    if len(names) != classes:
        raise UserError(
            f"the network has {classes} classes and there are {len(names)} folders "
            f"({_listed(names)}): which class is which? Give a folder for every class, whose "
            f"sorted names are 0 to {classes - 1}, or name folders by the numbers of their classes"
        )
    return "sorted", list(range(classes))


def checked(samples: Iterable[tuple[str, int]]) -> list[tuple[str, str]]:
    """Return each file's digest, and an error message, empty for a readable image."""
    return [_checked(Path(path)) for path, _ in samples]


def _checked(path: Path) -> tuple[str, str]:
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content)) as image:
            image.draft("RGB", (1, 1))  # a JPEG is read to its end, the fastest way
            image.load()
    except Exception as error:  # Pillow raises many kinds for malformed files
        return "", f"{path} cannot be read as an image: {_reason(error)}"
    return hashlib.sha256(content).hexdigest(), ""


def described(folder: Folder, digests: Iterable[str]) -> Data:
    """Describe the folder for a record; ``digests`` of the images are in the dataset's order."""
    # The text is the output of `sha256sum`, sorted by path, so that it can be reproduced.
    names = (Path(path).relative_to(folder.root).as_posix() for path, _ in folder.samples)
    by_path = sorted(zip(names, digests, strict=True))
    text = "".join(f"{digest}  {name}\n" for name, digest in by_path)
    return Data(
        name=resolved(Path(folder.root)).name,
        sha256=hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest(),
        folders=len(folder.classes),
        order=folder.order,
    )


def preprocessing(image_size: int) -> Preprocessing:
    """Return the usual one: 224 pixels are cropped from a shorter side of 256; in proportion."""
    return Preprocessing(resize=round(image_size * 256 / 224), crop=image_size, mean=MEAN, std=STD)


def transform(how: Preprocessing) -> transforms.Compose:
    """Return the transform of a PIL image to a network's input: (3, crop, crop), float32."""
    steps = [
        transforms.Resize(how.resize, transforms.InterpolationMode(how.interpolation)),
        transforms.CenterCrop(how.crop),
        transforms.ToTensor(),
        transforms.Normalize(how.mean, how.std),
    ]
    return transforms.Compose(steps)


def right(logits: torch.Tensor, labels: torch.Tensor) -> tuple[int, int, int]:
    """Return how many are right in the top 1, tied there, and right in the top 5.

    ``logits`` (images, classes), ``labels`` (images). An image is right in the top k if fewer than
    k other classes have a logit at least as high: ties count as wrong, on every device.
    """
    own = logits.gather(1, labels[:, None])
    above = (logits > own).sum(1)
    others = (logits >= own).sum(1) - 1
    tied = (above == 0) & (others > 0)
    return int((others == 0).sum()), int(tied.sum()), int((others < 5).sum())  # noqa: PLR2004


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):  # its message names the object in memory
        return "unknown image format"
    return getattr(error, "strerror", None) or _first_line(error)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
