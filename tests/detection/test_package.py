"""COCO's average precision, on detections that are planted, against arithmetic by hand."""

import json
from copy import deepcopy
from pathlib import Path

import average_precision
import coco_digits
import numpy as np
import pytest
from helpers import coco

from attnbench.detection.package import encoded, masks, precision
from attnbench.errors import UserError


def found(shift=(0, 0, 0), left_out=(), kind="box", score=0.9):
    """Every object of the set, moved to the right by so many pixels."""
    answers = []
    for known, right in zip(coco.content()["annotations"], shift, strict=True):
        if known["id"] in left_out:
            continue
        left, top, width, height = known["bbox"]
        one = {key: known[key] for key in ("image_id", "category_id")} | {"score": score}
        if kind == "box":
            answers.append(one | {"bbox": [left + right, top, width, height]})
        else:
            mask = np.zeros((coco.SIDE, coco.SIDE), np.uint8)
            mask[top : top + height, left + right : left + right + width] = 1
            answers.append(one | {"segmentation": encoded(mask)})
    return answers


@pytest.mark.parametrize("kind", ["box", "mask"])
def test_perfect_detections_are_one(kind):
    figures = precision(coco.content(), found(kind=kind), kind)
    assert figures == {
        "ap": 1.0,
        "ap50": 1.0,
        "ap75": 1.0,
        "ap_small": 1.0,  # 20 x 20 is less than 32 x 32
        "ap_medium": 1.0,  # 40 x 40
        "ap_large": None,  # there is nothing of 96 x 96
    }


@pytest.mark.parametrize("kind", ["box", "mask"])
def test_shifted_detections_pass_the_looser_thresholds(kind):
    # Small ones moved by 4 of 20: 16 / 24 = 0.667 passes 0.50 to 0.65, 4 of 10 thresholds.
    # The large one moved by 4 of 40: 36 / 44 = 0.818 passes 0.50 to 0.80, 7 of 10.
    figures = precision(coco.content(), found((4, 4, 4), kind=kind), kind)
    assert figures["ap_small"] == pytest.approx(0.4)
    assert figures["ap_medium"] == pytest.approx(0.7)
    assert figures["ap"] == pytest.approx((0.4 + 0.7) / 2)  # the mean of both categories
    assert figures["ap50"] == pytest.approx(1)
    assert figures["ap75"] == pytest.approx((0 + 1) / 2)


def test_a_missing_object_ends_the_recall():
    # One of two small ones is found: precision is 1 up to a recall of 0.5, at 51 of 101 points.
    figures = precision(coco.content(), found(left_out=(1,)), "box")
    assert figures["ap_small"] == pytest.approx(51 / 101)
    assert figures["ap"] == pytest.approx((51 / 101 + 1) / 2)


def test_a_false_detection_counts_by_its_score():
    wrong = {"image_id": 2, "category_id": 7, "bbox": [30, 30, 40, 40], "score": 0.95}
    figures = precision(coco.content(), [*found(), wrong], "box")
    assert figures["ap_medium"] == pytest.approx(1 / 2)  # right is the second of two
    behind = precision(coco.content(), [*found(), wrong | {"score": 0.1}], "box")
    assert behind["ap_medium"] == pytest.approx(1)


def test_without_any_detection_precision_is_zero():
    figures = precision(coco.content(), [], "box")
    assert (figures["ap"], figures["ap50"], figures["ap_large"]) == (0.0, 0.0, None)


def test_the_annotations_stay_as_they_are():
    truth = coco.content()
    before = deepcopy(truth)
    precision(truth, found(kind="mask"), "mask")
    assert truth == before


@pytest.mark.parametrize("kind", ["box", "mask"])
def test_ids_of_annotations_may_begin_at_zero(kind):
    """The package's evaluator takes the object with the id 0 for one that nothing has found."""
    truth = coco.content()
    for annotation in truth["annotations"]:
        annotation["id"] -= 1
    assert precision(truth, found(kind=kind), kind)["ap"] == 1.0
    assert truth["annotations"][0]["id"] == 0


def test_area_and_crowd_may_be_left_out():
    truth = coco.content()
    for annotation in truth["annotations"]:
        del annotation["area"], annotation["iscrowd"]
    assert precision(truth, found(), "box")["ap_medium"] == 1.0


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # pycocotools, of numpy 2
def test_pycocotools_gives_the_same_on_real_digits(tmp_path: Path):
    coco_digits.compose(tmp_path, {"val": 12})
    truth = json.loads((tmp_path / "val.json").read_text())
    planted = average_precision.planted(truth, seed=1)
    for kind, its in (("box", "bbox"), ("mask", "segm")):
        other, _ = average_precision.figures("pycocotools", truth, planted, its)
        ours = precision(truth, planted, kind)
        assert 0.05 < ours["ap"] < 0.95
        for figure, independent in zip(ours.values(), other, strict=False):
            assert (-1 if figure is None else figure) == pytest.approx(independent, abs=1e-12)


def test_masks_are_read_from_polygons_and_run_lengths():
    polygon = masks([[1, 1, 4, 1, 4, 3, 1, 3]], (5, 6))
    assert polygon.sum() == 3 * 2
    runs = coco_digits.run_lengths(polygon.astype(bool))
    assert (masks(runs, (5, 6)) == polygon).all()
    assert (masks(encoded(polygon), (5, 6)) == polygon).all()


def test_two_corners_are_no_box():
    """Which the package takes four numbers for."""
    corners, triangle = [1, 1, 4, 3], [0, 0, 4, 0, 0, 4]
    assert (masks([corners, triangle], (5, 6)) == masks([triangle], (5, 6))).all()
    with pytest.raises(UserError, match="mask"):
        masks([corners], (5, 6))


@pytest.mark.parametrize("wrong", [[], "text", {"counts": [1, 2], "size": [9, 9]}, [[1, 2]]])
def test_other_masks_are_refused(wrong):
    with pytest.raises(UserError, match="mask"):
        masks(wrong, (5, 6))
