import hashlib
import subprocess
from pathlib import Path

import pytest
import torch
from helpers import colours
from PIL import Image
from torchvision.models import ResNet50_Weights

from attnbench.accuracy.images import (
    Folder,
    checked,
    class_numbers,
    described,
    preprocessing,
    right,
    transform,
)
from attnbench.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return colours.folder(tmp_path / "val")


def test_as_many_folders_as_classes_are_the_classes_in_the_order_of_their_names() -> None:
    names = ["n01440764", "n01443537", "n01484850"]
    assert class_numbers(names, 3) == ("sorted", [0, 1, 2])


def test_folders_named_by_numbers_are_these_classes_however_many_they_are() -> None:
    assert class_numbers(["0", "17", "999"], 1000) == ("numbers", [0, 17, 999])
    # Sorted by name they would be 0, 1, 10, 11, 2: not the numbers that they say.
    names = sorted(map(str, range(12)))
    assert class_numbers(names, 12) == ("numbers", [0, 1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9])
    assert class_numbers(["000", "001"], 2) == ("numbers", [0, 1])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["cat", "dog"], r"3 classes and there are 2 folders \(cat, dog\): which.*sorted.*numbers"),
        (["a", "b", "c", "d", "e", "f", "g"], r"7 folders \(a, b, c, d, e, ...\)"),
        (["1", "2", "3"], "the classes 0 to 2; there are folders 3"),
        (["1", "01"], "two folders are named by the same number"),
        (["0", "1", "two", "3"], "4 folders"),
        (["-1", "0"], "2 folders"),
        (["²", "0"], "2 folders"),
    ],
)
def test_other_folders_are_refused(names: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        class_numbers(names, 3)


def test_labels_are_the_numbers_of_the_folders(folder: Path) -> None:
    dataset = Folder(folder, colours.CLASSES)
    assert [label for _, label in dataset.samples] == [0, 0, 1, 1, 2, 3, 4, 5, 7]
    assert (dataset.order, dataset.others) == ("numbers", 0)


def test_files_that_are_no_images_by_their_ending_are_counted(folder: Path) -> None:
    for name in ("0/notes.txt", "1/images.csv", "1/.hidden"):
        (folder / name).write_text("text")
    (folder / "readme.txt").write_text("outside of the classes")
    (folder / ".cache").mkdir()
    dataset = Folder(folder, colours.CLASSES)
    assert (len(dataset), dataset.others) == (9, 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.with_name("other").mkdir(), "cannot take images from .*No such file"),
        (lambda path: path.write_text("a file"), "cannot take images from .*Not a directory"),
        (
            lambda path: path.mkdir(),
            "holds no folders; expected is a folder of images a class",
        ),
        (lambda path: (path / "0").mkdir(parents=True), "no valid file for the classes 0"),
        (lambda path: colours.image(path / "a.png", "red"), "holds no folders"),
    ],
)
def test_what_is_no_folder_of_classes_is_bad_input(tmp_path: Path, make, message: str) -> None:
    make(tmp_path / "val")
    with pytest.raises(UserError, match=message):
        Folder(tmp_path / "val", 1)


def test_a_class_without_images_is_refused(folder: Path) -> None:
    (folder / "6").mkdir()
    with pytest.raises(UserError, match="no valid file for the classes 6"):
        Folder(folder, colours.CLASSES)


def faults(folder: Path) -> list[str]:
    return [fault for _, fault in checked(Folder(folder, colours.CLASSES).samples) if fault]


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_an_image_that_is_cut_off_is_named(folder: Path, kind: str) -> None:
    path = folder / "1" / f"cut.{kind.lower()}"
    noise = torch.rand(64, 64, 3, generator=torch.Generator().manual_seed(0))
    Image.fromarray((noise * 255).byte().numpy()).save(path, kind)
    assert faults(folder) == []
    path.write_bytes(path.read_bytes()[:-600])
    (fault,) = faults(folder)
    assert fault.startswith(f"{path} cannot be read as an image: ")
    assert "truncated" in fault


def test_text_under_an_images_name_is_named(folder: Path) -> None:
    path = folder / "1" / "text.png"
    path.write_text("no image")
    assert faults(folder) == [f"{path} cannot be read as an image: unknown image format"]


def test_the_digest_of_a_folder_is_that_of_sha256sum(folder: Path) -> None:
    dataset = Folder(folder, colours.CLASSES)
    data = described(dataset, [digest for digest, _ in checked(dataset.samples)])
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.parent.name}/{path.name}\n"
        for path in sorted(folder.glob("*/*"))
    ]
    assert data.sha256 == hashlib.sha256("".join(lines).encode()).hexdigest()
    shell = "LC_ALL=C sha256sum */* | sha256sum"
    shell_digest = subprocess.run(
        ["sh", "-c", shell], cwd=folder, capture_output=True, text=True, check=True
    )
    assert shell_digest.stdout.split()[0] == data.sha256
    assert (data.name, data.folders, data.order) == ("val", 7, "numbers")


def test_an_image_is_prepared_as_torchvision_does_for_its_own_weights() -> None:
    noise = torch.rand(300, 400, 3, generator=torch.Generator().manual_seed(0))
    image = Image.fromarray((noise * 255).byte().numpy())
    theirs = ResNet50_Weights.IMAGENET1K_V1.transforms()
    assert (theirs.crop_size, theirs.resize_size) == ([224], [256])
    assert torch.equal(transform(preprocessing(224))(image), theirs(image))


@pytest.mark.parametrize(("crop", "resize"), [(224, 256), (448, 512), (288, 329), (32, 37)])
def test_other_sizes_are_resized_in_proportion(crop: int, resize: int) -> None:
    assert (preprocessing(crop).crop, preprocessing(crop).resize) == (crop, resize)


def test_an_image_is_right_where_its_class_is_among_the_highest() -> None:
    ordered = torch.arange(7.0).flip(0)  # class 0 is highest, then 1, ...
    logits = ordered.repeat(7, 1)
    assert right(logits, torch.arange(7)) == (1, 0, 5)


def test_an_equal_logit_is_no_right_answer() -> None:
    logits = torch.tensor([[1.0, 1, 0], [1, 1, 0], [1, 0, 0], [0, 1, 1]])
    assert right(logits, torch.tensor([0, 1, 0, 0])) == (1, 2, 4)
    # Seven equal logits: nobody knows which are the five highest.
    assert right(torch.zeros(7, 7), torch.arange(7)) == (0, 7, 0)


def test_links_to_images_are_images_and_a_class_may_be_a_link(folder: Path, tmp_path: Path) -> None:
    (folder / "0" / "again.png").symlink_to(folder / "1" / "3.png")
    (folder / "7").rename(tmp_path / "sevens")
    (folder / "7").symlink_to(tmp_path / "sevens")
    dataset = Folder(folder, colours.CLASSES)
    assert [label for _, label in dataset.samples] == [0, 0, 0, 1, 1, 2, 3, 4, 5, 7]


@pytest.mark.parametrize(
    ("link", "target", "message"),
    [
        ("0/up", "..", r"/0/up is a link to a folder, and is not followed: remove it"),
        ("0/loop", "../0", r"/0/loop is a link to a folder"),
        ("0/elsewhere", "../../more", r"/0/elsewhere is a link to a folder"),
        ("6", "5", r"/6 and .*/5 are the same folder: one of them is a link"),
        ("6", "../more/of/5", r"/6 and .*/5 are the same folder: one of them is a link"),
        ("6", ".", r"/6 and .*/val are the same folder: one of them is a link"),
        ("6", "7/deep", r"/6 lies in .*/7, whose images would count twice"),
        ("00", "..", r"val lies in .*/00, whose images would count twice"),
    ],
)
def test_links_through_which_an_image_would_count_twice_are_refused(
    folder: Path, tmp_path: Path, link: str, target: str, message: str
) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "of").symlink_to(folder)
    (folder / "7" / "deep").mkdir()
    (folder / link).symlink_to(target)
    with pytest.raises(UserError, match=message):
        Folder(folder, colours.CLASSES)
