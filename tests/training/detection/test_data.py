import json
from pathlib import Path
from typing import Any

import pytest
from helpers import coco

from attnbench.errors import UserError
from attnbench.training.detection.data import read_data
from attnbench.training.detection.files import CocoFiles


def files(folder: Path, val: dict[str, Any] | None = None) -> CocoFiles:
    """The helpers' set twice: its images to train on, and copies of them to test on."""
    train = coco.write(folder / "one")
    test = coco.write(folder / "two", val)
    return CocoFiles("set", train, folder / "one" / "images", test, folder / "two" / "images")


def test_both_parts_are_read(tmp_path: Path) -> None:
    read = read_data(files(tmp_path), with_masks=True)
    assert (len(read.train), len(read.val)) == (2, 2)
    assert (read.data.train_images, read.data.test_images, read.data.classes) == (2, 2, 2)
    assert read.train.labels == read.val.labels == {3: 1, 7: 2}  # of ids with gaps
    assert read.data.split == (
        "trained on annotations.json with images/, tested on annotations.json with images/"
    )


def test_the_digest_is_of_annotations_and_images(tmp_path: Path) -> None:
    before = read_data(files(tmp_path), with_masks=True).data.sha256
    assert read_data(files(tmp_path), with_masks=True).data.sha256 == before
    data = coco.content()
    data["annotations"][0]["bbox"][2] += 1
    assert read_data(files(tmp_path, data), with_masks=True).data.sha256 != before
    again = files(tmp_path)
    with (tmp_path / "two" / "images" / "1.png").open("ab") as file:
        file.write(b"\0")
    assert read_data(again, with_masks=True).data.sha256 != before


def test_categories_that_do_not_match_are_named(tmp_path: Path) -> None:
    data = coco.content()
    data["categories"][1]["name"] = "huge"
    with pytest.raises(UserError, match=r"categories do not match: 7 large of .*one.* is not in"):
        read_data(files(tmp_path, data), with_masks=True)


def test_what_cannot_be_tested_on_is_refused(tmp_path: Path) -> None:
    data = coco.content()
    for annotation in data["annotations"]:
        annotation["iscrowd"] = 1
    with pytest.raises(UserError, match="of crowds alone: nothing to find"):
        read_data(files(tmp_path, data), with_masks=False)
    data = coco.content()
    del data["annotations"][0]["segmentation"]
    with pytest.raises(UserError, match=r"has no 'segmentation'.* a fasterrcnn_ host would do"):
        read_data(files(tmp_path, data), with_masks=True)
    assert read_data(files(tmp_path, data), with_masks=False).data.test_images == 2


def test_boxes_without_an_area_are_left_out_of_training_and_said(tmp_path: Path) -> None:
    places = files(tmp_path)
    data = coco.content()
    data["annotations"][0]["bbox"][3] = 0
    coco.write(tmp_path / "one", data)
    read = read_data(places, with_masks=True)
    assert read.train.sample(0, with_masks=True)[1]["labels"].tolist() == [2]
    assert "with images/ but for boxes without an area (1), tested on" in read.data.split
    # On the other side it would be an object that no network can find.
    coco.write(tmp_path / "two", data)
    with pytest.raises(UserError, match=r"two.*annotation 1: the box .* with a positive area"):
        read_data(places, with_masks=True)
    coco.write(tmp_path / "two")
    for annotation in data["annotations"]:
        annotation["bbox"][2] = 0
    coco.write(tmp_path / "one", data)
    with pytest.raises(UserError, match="of crowds or without an area alone: nothing to find"):
        read_data(places, with_masks=True)


def test_an_image_in_both_parts_is_refused(tmp_path: Path) -> None:
    one = coco.write(tmp_path / "one")
    other = tmp_path / "other.json"
    other.write_text(json.dumps(coco.content()))
    images = tmp_path / "one" / "images"
    with pytest.raises(UserError, match=r"1\.png is an image to train on and to test on"):
        read_data(CocoFiles("set", one, images, other, images), with_masks=True)
