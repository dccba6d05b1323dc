"""A folder with train/ and val/, in each a folder of images for each class, as ImageNet has it."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from PIL import Image
from torchvision.datasets.folder import IMG_EXTENSIONS

from attnbench.accuracy.images import MEAN, STD
from attnbench.errors import UserError
from attnbench.files import resolved
from attnbench.records.trainings.schema import TrainingData
from attnbench.text import error_line, printable
from attnbench.training.task import SampleError

TRAIN, VAL = "train", "val"
SHOWN = 5
FEWEST_CLASSES = 2


class Folders:
    """The images under ``train`` and ``val``; sorted names of folders are the classes 0, 1, ..."""

    mean, std, whole = MEAN, STD, False

    def __init__(self, path: Path) -> None:
        training, test = (_by_class(path, part) for part in (TRAIN, VAL))
        _require_alike(path, training, test)
        classes = sorted(training)
        if len(classes) < FEWEST_CLASSES:
            raise UserError(
                f"{path / TRAIN} holds one class, {printable(classes[0])}: there is nothing to tell"
            )
        self._training, self._test = (
            [(file, number) for number, name in enumerate(classes) for file in part[name]]
            for part in (training, test)
        )
        self.data = TrainingData(
            name=printable(resolved(path).name) or "data",
            sha256=_digest(path, [file for file, _ in (*self._training, *self._test)]),
            split=f"trained on {TRAIN}/, tested on {VAL}/",
            train_images=len(self._training),
            test_images=len(self._test),
            classes=len(classes),
        )

    def training(self, index: int) -> tuple[Image.Image, int]:
        """Return an image to train on and its class."""
        return _read(*self._training[index])

    def test(self, index: int) -> tuple[Image.Image, int]:
        """Return an image to test on and its class."""
        return _read(*self._test[index])


def _read(file: Path, label: int) -> tuple[Image.Image, int]:
    try:
        with Image.open(file) as image:
            return image.convert("RGB"), label
    except Exception as error:  # Pillow raises many kinds for malformed files
        raise SampleError(f"{file} cannot be read as an image: {error_line(error)}") from error


def _by_class(path: Path, part: str) -> dict[str, list[Path]]:
    """Return the images of each class folder, sorted by path."""
    folder = path / part
    try:
        entries = sorted(folder.iterdir())
        classes = [entry for entry in entries if entry.is_dir() and entry.name[0] != "."]
        found = {
            entry.name: sorted(
                file for file in entry.rglob("[!.]*") if file.suffix.lower() in IMG_EXTENSIONS
            )
            for entry in classes
        }
    except OSError as error:
        layout = f"expected is {path}/{TRAIN}/CLASS/IMAGE and {path}/{VAL}/CLASS/IMAGE"
        raise UserError(f"cannot take images from {folder}: {error.strerror}; {layout}") from error
    flat = [entry for entry in entries if entry.suffix.lower() in IMG_EXTENSIONS]
    if flat and not classes:
        raise UserError(
            f"{folder} holds {len(flat):,} images and no folder a class, as the official archive "
            f"of ImageNet has its {VAL}: move each image into the folder of its class, as "
            f"{_class_index(path)} states it"
        )
    empty = [name for name, files in found.items() if not files]
    if not found or empty:
        what = f"no image in {_listed(empty)}" if empty else "no folder of images for a class"
        raise UserError(f"{folder} holds {what}")
    return found


INDEX_FILES = ("ILSVRC2012_validation_ground_truth.txt", "LOC_val_solution.csv")
"""Of ImageNet's development kit and of its copy on Kaggle: the class of each image of val."""


def _class_index(path: Path) -> str:
    """Return the file with the classes of flat images where one is near, else what it is called."""
    near = (path, path.parent, path / "data", path.parent / "ILSVRC2012_devkit_t12" / "data")
    found = [folder / name for folder in near for name in INDEX_FILES if (folder / name).exists()]
    return str(found[0]) if found else f"a file such as {' or '.join(INDEX_FILES)}"


def _require_alike(
    path: Path, training: dict[str, list[Path]], test: dict[str, list[Path]]
) -> None:
    """Refuse classes that are on one side alone."""
    for part, mine, other in ((TRAIN, training, test), (VAL, test, training)):
        if alone := sorted(mine.keys() - other.keys()):
            raise UserError(
                f"{path}: {len(alone)} of the classes are in {part}/ alone: {_listed(alone)}"
            )


def _digest(path: Path, files: list[Path]) -> str:
    """Digest the sizes and paths of all images: whether these are the same files as before."""
    lines = sorted(f"{file.stat().st_size} {file.relative_to(path).as_posix()}\n" for file in files)
    return sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()


def _listed(names: list[str]) -> str:
    more = ", ..." if len(names) > SHOWN else ""
    return ", ".join(printable(name, 80) for name in names[:SHOWN]) + more
