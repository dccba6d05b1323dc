from pathlib import Path

import pytest
from PIL import Image

from attnbench.errors import UserError
from attnbench.training.classification.folders import Folders
from attnbench.training.task import SampleError


def image(path: Path, colour: tuple[int, int, int] = (1, 2, 3)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 40), colour).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for part, count in (("train", 3), ("val", 2)):
        for name in ("cat", "ant"):
            for number in range(count):
                image(tmp_path / part / name / f"{number}.png")
    return tmp_path


def test_sorted_names_are_the_classes(folder: Path) -> None:
    (folder / "train" / "cat" / "notes.txt").write_text("no image")
    images = Folders(folder)
    data = images.data
    assert (data.train_images, data.test_images, data.classes) == (6, 4, 2)
    assert [images.training(number)[1] for number in range(6)] == [0, 0, 0, 1, 1, 1]
    assert [images.test(number)[1] for number in range(4)] == [0, 0, 1, 1]
    assert images.training(0)[0].size == (40, 40)


def test_other_files_have_another_digest(folder: Path) -> None:
    before = Folders(folder).data.sha256
    assert Folders(folder).data.sha256 == before
    image(folder / "val" / "cat" / "new.png")
    assert Folders(folder).data.sha256 != before


def test_a_broken_image_is_named(folder: Path) -> None:
    (folder / "train" / "ant" / "0.png").write_bytes(b"nothing")
    with pytest.raises(SampleError, match=r"0\.png cannot be read as an image"):
        Folders(folder).training(0)


def test_bad_folders_are_refused(folder: Path, tmp_path: Path) -> None:
    image(folder / "train" / "dog" / "0.png")
    with pytest.raises(UserError, match="1 of the classes are in train/ alone: dog"):
        Folders(folder)
    image(folder / "val" / "dog" / "0.png")
    image(folder / "val" / "elk" / "0.png")
    with pytest.raises(UserError, match="1 of the classes are in val/ alone: elk"):
        Folders(folder)
    (folder / "train" / "empty").mkdir()
    with pytest.raises(UserError, match="holds no image in empty"):
        Folders(folder)
    (tmp_path / "bare").mkdir()
    with pytest.raises(UserError, match="bare/train/CLASS/IMAGE"):
        Folders(tmp_path / "bare")
    (tmp_path / "bare" / "train").mkdir()
    with pytest.raises(UserError, match="holds no folder of images for a class"):
        Folders(tmp_path / "bare")


def test_one_class_has_nothing_to_tell(tmp_path: Path) -> None:
    image(tmp_path / "train" / "cat" / "0.png")
    image(tmp_path / "val" / "cat" / "0.png")
    with pytest.raises(UserError, match="holds one class, cat"):
        Folders(tmp_path)


def test_the_official_layout_of_imagenet_is_named(folder: Path) -> None:
    flat = folder / "flat"
    image(flat / "train" / "n01440764" / "0.png")
    image(flat / "val" / "ILSVRC2012_val_00000001.JPEG")
    with pytest.raises(UserError, match="a file such as ILSVRC2012_validation_ground_truth"):
        Folders(flat)
    (flat / "LOC_val_solution.csv").write_text("ImageId,PredictionString")
    with pytest.raises(UserError, match=r"official archive of ImageNet.*flat/LOC_val_solution"):
        Folders(flat)
