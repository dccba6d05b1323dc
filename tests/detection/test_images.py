from pathlib import Path

import pytest
import torch
from helpers import coco
from PIL import Image

from attnbench.detection.annotations import read
from attnbench.detection.images import DetectionImages
from attnbench.errors import UserError

LABELS = {3: 1, 7: 2}


@pytest.fixture
def images(tmp_path: Path) -> DetectionImages:
    return DetectionImages(read(coco.write(tmp_path)), tmp_path / "images", LABELS)


def test_a_sample_has_corners_labels_and_masks(images: DetectionImages) -> None:
    pixels, target = images.sample(0, with_masks=True)
    assert pixels.shape == (3, 96, 96)
    assert target["boxes"].tolist() == [[10, 20, 30, 40], [50, 40, 90, 80]]
    assert target["labels"].tolist() == [1, 2]
    assert target["masks"].sum((1, 2)).tolist() == [20 * 20, 40 * 40]
    # The picture is coloured where the masks are, and nowhere else.
    assert torch.equal(pixels[0] > 0, target["masks"].sum(0) > 0)


def test_a_mirrored_sample_is_mirrored_as_a_whole(images: DetectionImages) -> None:
    pixels, target = images.sample(0, with_masks=True, flipped=True)
    # 96 - 30 and 96 - 10; heights stay.
    assert target["boxes"].tolist() == [[66, 20, 86, 40], [6, 40, 46, 80]]
    assert torch.equal(pixels[0] > 0, target["masks"].sum(0) > 0)


def test_an_image_without_objects_is_a_sample_too(tmp_path: Path) -> None:
    data = coco.content()
    data["annotations"] = [one for one in data["annotations"] if one["image_id"] == 1]
    images = DetectionImages(read(coco.write(tmp_path, data)), tmp_path / "images", LABELS)
    _, target = images.sample(1, with_masks=True)
    assert target["boxes"].shape == (0, 4)
    assert target["masks"].shape == (0, 96, 96)
    assert target["labels"].dtype == torch.int64


def test_crowds_are_not_trained_on(tmp_path: Path) -> None:
    data = coco.content()
    data["annotations"][0]["iscrowd"] = 1
    images = DetectionImages(read(coco.write(tmp_path, data)), tmp_path / "images", LABELS)
    assert images.sample(0, with_masks=False)[1]["labels"].tolist() == [2]


def test_a_mask_that_is_none_is_named(tmp_path: Path) -> None:
    data = coco.content()
    data["annotations"][1]["segmentation"] = {"size": [96, 95], "counts": [96 * 95]}
    images = DetectionImages(read(coco.write(tmp_path, data)), tmp_path / "images", LABELS)
    with pytest.raises(
        UserError, match=r"annotations\.json: annotation 2: a mask is of \(96, 95\)"
    ):
        images.sample(0, with_masks=True)


def test_what_cannot_be_read_is_refused(images: DetectionImages, tmp_path: Path) -> None:
    file = tmp_path / "images" / "1.png"
    Image.new("RGB", (48, 96)).save(file)
    with pytest.raises(UserError, match=r"1\.png is 48x96 pixels .* says 96x96"):
        images.image(0)
    file.write_bytes(b"no image")
    with pytest.raises(UserError, match=r"1\.png cannot be read as an image"):
        images.image(0)
    file.unlink()
    with pytest.raises(UserError, match=r"1 of the 2 images of .*annotations\.json are not there"):
        DetectionImages(images.annotations, images.folder, LABELS)


def test_the_digest_is_of_annotations_and_pixels(images: DetectionImages, tmp_path: Path) -> None:
    before = images.digest()
    assert before == images.digest()
    Image.new("RGB", (96, 96)).save(tmp_path / "images" / "2.png")
    assert images.digest() != before
