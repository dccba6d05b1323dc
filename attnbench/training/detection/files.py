"""Where COCO-format data lie, and where backbones' weights do: all before torch is imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from attnbench.errors import UserError
from attnbench.files import resolved
from attnbench.records.variants import PLAIN
from attnbench.text import LONGEST_WORD, printable

LAYOUTS = (
    ("annotations/instances_train2017.json", "train2017", "annotations/instances_val2017.json"),
    ("annotations/train.json", "train", "annotations/val.json"),
    ("train.json", "train", "val.json"),
)
"""Annotations of the training images, their folder, annotations of the test images; the last lie in
the folder of the same name with ``val`` in it. The first is that of COCO 2017."""

TRAIN, VAL = "train", "val"


@dataclass(frozen=True)
class CocoFiles:
    """Annotations and folders of images to train on and to test on."""

    name: str
    train_annotations: Path
    train_images: Path
    val_annotations: Path
    val_images: Path
    options: Mapping[str, str] = field(default_factory=dict)
    """Names of the files and folders that options stated one by one."""


def found(
    data: str, annotations: Path | None, val_data: Path | None, val_annotations: Path | None
) -> CocoFiles:
    """Return the files that options state, or those of a known layout in ``data``.

    Raises:
        UserError: some of the options and not all, no known layout, or a file or folder that is
            not there.
    """
    folder = Path(data)
    name = printable(resolved(folder).name) or "data"
    stated = {
        "annotations": annotations,
        "val-data": val_data,
        "val-annotations": val_annotations,
    }
    given = {option: path for option, path in stated.items() if path is not None}
    if given and len(given) < len(stated):
        missing = ", ".join(f"--{option}" for option in stated if option not in given)
        raise UserError(
            f"--{next(iter(given))} needs {missing} too: annotations and a folder of images to "
            "train on (--data) and to test on"
        )
    if not given:
        return _in_layout(folder, name)
    assert annotations is not None
    assert val_data is not None
    assert val_annotations is not None
    options = {option: printable(resolved(path).name) for option, path in given.items()}
    return _there(CocoFiles(name, annotations, folder, val_annotations, val_data, options))


def _in_layout(folder: Path, name: str) -> CocoFiles:
    for train, images, val in LAYOUTS:
        if (folder / train).is_file():
            val_images = folder / images.replace(TRAIN, VAL)
            places = (folder / train, folder / images, folder / val, val_images)
            return _there(CocoFiles(name, *places))
    layouts = "; ".join(f"{train} and {images}/" for train, images, _ in LAYOUTS)
    raise UserError(
        f"{folder} has no annotations in a layout that is known ({layouts}; the same with val); "
        "otherwise --annotations FILE, --val-data DIR and --val-annotations FILE state where they "
        "are"
    )


def _there(files: CocoFiles) -> CocoFiles:
    for path, is_there, what in (
        (files.train_annotations, Path.is_file, "annotations"),
        (files.val_annotations, Path.is_file, "annotations"),
        (files.train_images, Path.is_dir, "images"),
        (files.val_images, Path.is_dir, "images"),
    ):
        if not is_there(path):
            raise UserError(f"cannot take {what} from {path}: no such file or folder")
    return files


def backbones(texts: Sequence[str], modules: Sequence[str]) -> dict[str, Path]:
    """Return the file of each network that one is stated for; ``plain`` is of all others.

    ``sa=FILE`` is of the host with SA; ``FILE`` alone of the plain host.

    Raises:
        UserError: two files of one network, or one that is not there.
    """
    stated: dict[str, Path] = {}
    for text in texts:
        variant, file = PLAIN, text
        for name in (PLAIN, *modules):
            if text.startswith(f"{name}="):
                variant, file = name, text.removeprefix(f"{name}=")
        shown = printable(text, 4 * LONGEST_WORD)
        if variant in stated:
            raise UserError(f"--backbone '{shown}': there is a file for {variant} already")
        path = Path(file)
        if not path.is_file():
            raise UserError(
                f"--backbone '{shown}': no such file; FILE is of the plain host, MODULE=FILE of a "
                "host with one of --modules"
            )
        stated[variant] = path
    return stated
