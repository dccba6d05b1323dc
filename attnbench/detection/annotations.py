"""Read annotations in COCO's format, and refuse what cannot be evaluated. No torch.

Each message names the file, what is wrong in it and where.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import Any

from attnbench.errors import UserError
from attnbench.files import read_named
from attnbench.text import printable

FORMAT = "expected is COCO's format: an object with 'images', 'annotations' and 'categories'"

PARTS: dict[str, tuple[str, ...]] = {
    "images": ("id", "file_name", "width", "height"),
    "categories": ("id", "name"),
    "annotations": ("id", "image_id", "category_id", "bbox"),
}
"""The lists of a file, and the fields without which an entry says too little."""

LONGEST = 80
"""Characters of foreign text in a message."""

CORNERS = 4


@dataclass(frozen=True)
class Annotations:
    """Images, categories and annotations, checked; ``data`` is as the file holds it."""

    file: Path
    data: Mapping[str, Any]

    @property
    def images(self) -> Sequence[Mapping[str, Any]]:
        """``id``, ``file_name``, ``width`` and ``height`` of each image, in the file's order."""
        return self.data["images"]  # type: ignore[no-any-return]

    @property
    def annotations(self) -> Sequence[Mapping[str, Any]]:
        """Boxes (left, top, width, height), in images and of categories that there are."""
        return self.data["annotations"]  # type: ignore[no-any-return]

    @cached_property
    def categories(self) -> dict[int, str]:
        """Ids, from low to high, and names."""
        named = {entry["id"]: str(entry["name"]) for entry in self.data["categories"]}
        return dict(sorted(named.items()))

    @cached_property
    def by_image(self) -> dict[int, list[Mapping[str, Any]]]:
        """The annotations of every image by its id."""
        found: dict[int, list[Mapping[str, Any]]] = {image["id"]: [] for image in self.images}
        for annotation in self.annotations:
            found[annotation["image_id"]].append(annotation)
        return found

    @cached_property
    def objects(self) -> dict[int, list[Mapping[str, Any]]]:
        """What there is to find in every image: neither crowds nor boxes without an area."""
        return {
            image: [
                known for known in found if not known.get("iscrowd", 0) and _has_area(known["bbox"])
            ]
            for image, found in self.by_image.items()
        }

    @cached_property
    def flat(self) -> int:
        """How many boxes have no area."""
        return sum(not _has_area(annotation["bbox"]) for annotation in self.annotations)

    def require_masks(self) -> None:
        """Refuse annotations without a mask, of boxes that have an area.

        Raises:
            UserError: there are some; the message names one.
        """
        for annotation in self.annotations:
            if _has_area(annotation["bbox"]) and not annotation.get("segmentation"):
                raise UserError(
                    f"{self.file}: annotation {annotation['id']} has no 'segmentation', and the "
                    "host predicts masks; a fasterrcnn_ host would do"
                )


def read(file: Path, *, flat: bool = False) -> Annotations:
    """Read a file of annotations; with ``flat`` also boxes without an area.

    COCO's own file of 2017 has two of them among those to train on. To test on, each would be an
    object that no network can find.

    Raises:
        UserError: a file that cannot be read or is not of this format; no images, categories or
            annotations; an id twice; an image or category that is named and is not there; a box
            without an area.
    """
    try:
        data = json.loads(read_named(file))
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file} is no JSON: {_shown(error)}; {FORMAT}") from error
    missing = [name for name in PARTS if not isinstance(data, dict) or name not in data]
    if missing:
        raise UserError(f"{file} has no '{missing[0]}'; {FORMAT}")
    for part, fields in PARTS.items():
        _require_entries(file, part, data[part], fields)
    _require_references(file, data, flat=flat)
    return Annotations(file, data)


def _require_entries(file: Path, part: str, entries: object, fields: tuple[str, ...]) -> None:
    """Refuse an empty list, an entry without its fields, and an id twice."""
    if not isinstance(entries, list) or not entries:
        raise UserError(f"{file}: '{part}' is not a list with entries in it; {FORMAT}")
    ids = set()
    for place, entry in enumerate(entries):
        lacking = [name for name in fields if not isinstance(entry, dict) or name not in entry]
        if lacking:
            raise UserError(f"{file}: {part}[{place}] has no '{lacking[0]}'")
        if type(entry["id"]) is not int:
            raise UserError(f"{file}: {part}[{place}]: id {_shown(entry['id'])} is no whole number")
        if entry["id"] in ids:
            raise UserError(f"{file}: the id {entry['id']} stands twice in '{part}'")
        ids.add(entry["id"])


def _require_references(file: Path, data: Mapping[str, Any], *, flat: bool) -> None:
    """Refuse files outside the folder, and annotations of nothing or without an area."""
    for image in data["images"]:
        name = image["file_name"]
        if not isinstance(name, str) or not name or Path(name).is_absolute() or ".." in name:
            raise UserError(
                f"{file}: image {image['id']}: '{_shown(name)}' is no path within the folder"
            )
    known = {part: {entry["id"] for entry in data[part]} for part in ("images", "categories")}
    for annotation in data["annotations"]:
        where = f"{file}: annotation {annotation['id']}"
        for part, field in (("images", "image_id"), ("categories", "category_id")):
            if not _within(annotation[field], known[part]):
                raise UserError(f"{where}: {field} {_shown(annotation[field])} is not in '{part}'")
        if not (_is_box(annotation["bbox"]) and (flat or _has_area(annotation["bbox"]))):
            raise UserError(
                f"{where}: the box {_shown(annotation['bbox'])} is not left, top, width and height "
                "with a positive area"
            )


def _within(value: object, known: set[int]) -> bool:
    return type(value) is int and value in known


def _is_box(box: object) -> bool:
    """Return whether it is of four numbers, of which the last two are not negative."""
    if not isinstance(box, list) or len(box) != CORNERS:
        return False
    if not all(type(value) in (int, float) and isfinite(value) for value in box):
        return False
    return bool(box[2] >= 0 and box[3] >= 0)


def _has_area(box: Sequence[float]) -> bool:
    return box[2] > 0 and box[3] > 0


def _shown(value: object) -> str:
    return printable(str(value), LONGEST)
