import re
from pathlib import Path

import pytest
from helpers import coco

from attnbench.detection.annotations import read
from attnbench.errors import UserError


def test_a_file_is_read(tmp_path: Path) -> None:
    known = read(coco.write(tmp_path))
    assert known.categories == {3: "small", 7: "large"}
    assert {image: len(found) for image, found in known.by_image.items()} == {1: 2, 2: 1}
    known.require_masks()


def change(part: str, place: int, **fields):
    """Return content with an entry changed; None takes a field away."""
    data = coco.content()
    for name, value in fields.items():
        if value is None:
            del data[part][place][name]
        else:
            data[part][place][name] = value
    return data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "has no 'images'; expected is COCO's format"),
        ({"images": [], "annotations": []}, "has no 'categories'"),
        (coco.content() | {"annotations": []}, "'annotations' is not a list with entries"),
        (change("images", 1, file_name=None), r"images[1] has no 'file_name'"),
        (change("images", 1, id=1), "the id 1 stands twice in 'images'"),
        (change("images", 0, id="1"), "images[0]: id 1 is no whole number"),
        (change("images", 0, file_name="../x.png"), "image 1: '../x.png' is no path within"),
        (change("annotations", 2, image_id=9), "annotation 3: image_id 9 is not in 'images'"),
        (change("annotations", 2, category_id=4), "category_id 4 is not in 'categories'"),
        (change("annotations", 0, category_id=[]), "category_id [] is not in 'categories'"),
        (change("annotations", 0, bbox=[1, 2, 0, 4]), "annotation 1: the box [1, 2, 0, 4] is not"),
        (change("annotations", 0, bbox=[1, 2, 3]), "with a positive area"),
        (change("annotations", 0, bbox=[1, 2, 1e999, 3]), "with a positive area"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(data, message: str, tmp_path: Path) -> None:
    file = coco.write(tmp_path, data)
    with pytest.raises(UserError, match=re.escape(message)) as refused:
        read(file)
    assert str(refused.value).startswith(str(file))


def test_no_file_and_no_json_are_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read .*none\.json: No such file"):
        read(tmp_path / "none.json")
    for text in ("{", "[" * 100_000):
        (tmp_path / "broken.json").write_text(text)
        with pytest.raises(UserError, match=r"broken\.json is no JSON"):
            read(tmp_path / "broken.json")


def test_annotations_without_masks_are_named(tmp_path: Path) -> None:
    known = read(coco.write(tmp_path, change("annotations", 1, segmentation=None)))
    with pytest.raises(UserError, match=r"annotation 2 has no 'segmentation', .* fasterrcnn_ host"):
        known.require_masks()


def test_a_box_without_an_area_may_be_trained_with_and_is_no_object(tmp_path: Path) -> None:
    """As annotation 918 of COCO's instances_train2017.json, 1.03 wide and 0 high."""
    data = change("annotations", 0, bbox=[10, 20, 1.03, 0.0], segmentation=None)
    known = read(coco.write(tmp_path, data), flat=True)
    assert known.flat == 1
    assert [one["id"] for one in known.objects[1]] == [2]
    known.require_masks()  # it needs none
    file = coco.write(tmp_path, change("annotations", 0, bbox=[10, 20, -1, 5]))
    with pytest.raises(UserError, match="annotation 1: the box"):
        read(file, flat=True)
