"""Images with boxes to train on and to test on, from two files in COCO's format."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from attnbench.detection import package
from attnbench.detection.annotations import Annotations, read
from attnbench.detection.classes import labels_of
from attnbench.detection.images import DetectionImages
from attnbench.errors import UserError
from attnbench.files import resolved
from attnbench.records.trainings.schema import TrainingData
from attnbench.text import printable
from attnbench.training.detection.files import CocoFiles

SHOWN = 5


@dataclass(frozen=True)
class CocoData:
    """Both parts, and what the records say of them."""

    train: DetectionImages
    val: DetectionImages
    data: TrainingData


def read_data(files: CocoFiles, *, with_masks: bool) -> CocoData:
    """Read both files of annotations and find their images; none is opened.

    Categories are the labels 1, 2, ... in the order of their ids.

    Raises:
        UserError: annotations that cannot be read or lack masks, categories that differ between
            them, no object to find, an image that is not there, or the package that computes
            precision.
    """
    package.require()
    train, val = read(files.train_annotations, flat=True), read(files.val_annotations)
    _require_alike(train, val)
    for known in (train, val):
        if not any(known.objects.values()):
            what = "of crowds or without an area" if known.flat else "of crowds"
            raise UserError(f"{known.file}: it has annotations {what} alone: nothing to find")
        if with_masks:
            known.require_masks()
    classes = len(train.categories)
    parts = (
        DetectionImages(train, files.train_images, labels_of(train, classes)),
        DetectionImages(val, files.val_images, labels_of(val, classes)),
    )
    same = _shared(files, *parts)
    if same:
        raise UserError(
            f"{same} is an image to train on and to test on: what it shows was learnt by heart"
        )
    left_out = f" but for boxes without an area ({train.flat:,})" if train.flat else ""
    split = (
        f"trained on {files.train_annotations.name} with {files.train_images.name}/{left_out}, "
        f"tested on {files.val_annotations.name} with {files.val_images.name}/"
    )
    data = TrainingData(
        name=files.name,
        sha256=_digest(parts),
        split=printable(split),
        train_images=len(parts[0]),
        test_images=len(parts[1]),
        classes=classes,
        files=files.options,
    )
    return CocoData(*parts, data)


def _require_alike(train: Annotations, val: Annotations) -> None:
    """Refuse categories that are not the same, by id and name, in both files."""
    if train.categories == val.categories:
        return
    for one, other in ((train, val), (val, train)):
        alone = one.categories.items() - other.categories.items()
        if alone:
            listed = ", ".join(printable(f"{number} {name}", 80) for number, name in sorted(alone))
            raise UserError(
                f"categories do not match: {printable(listed, SHOWN * 80)} of {one.file} "
                f"{'is' if len(alone) == 1 else 'are'} not in {other.file}"
            )


def _shared(files: CocoFiles, train: DetectionImages, val: DetectionImages) -> str | None:
    """Return a file that both parts name, if there is one."""
    if resolved(files.train_images) != resolved(files.val_images):
        return None
    mine, other = (
        {str(image["file_name"]) for image in part.annotations.images} for part in (train, val)
    )
    return next((str(files.val_images / name) for name in sorted(mine & other)), None)


def _digest(parts: Iterable[DetectionImages]) -> str:
    """Digest both files of annotations, and the sizes and paths of all images."""
    lines = []
    for part in parts:
        lines.append(f"{sha256(part.annotations.file.read_bytes()).hexdigest()}\n")
        files = sorted(str(image["file_name"]) for image in part.annotations.images)
        lines += [f"{(part.folder / name).stat().st_size} {name}\n" for name in files]
    return sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()
