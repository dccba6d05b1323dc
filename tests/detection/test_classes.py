from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers import coco

from attnbench.detection.annotations import Annotations, read
from attnbench.detection.classes import classes_of, labels_of
from attnbench.errors import UserError


@pytest.fixture
def known(tmp_path: Path) -> Annotations:
    return read(coco.write(tmp_path))


def test_as_many_categories_as_classes_are_in_the_order_of_their_ids(known: Annotations) -> None:
    assert labels_of(known, 2) == {3: 1, 7: 2}


def test_with_more_classes_ids_are_labels(known: Annotations) -> None:
    assert labels_of(known, 90) == {3: 3, 7: 7}


@pytest.mark.parametrize("classes", [1, 6])
def test_classes_that_are_neither_are_refused(known: Annotations, classes: int) -> None:
    with pytest.raises(UserError, match="2 categories with ids 3 to 7, and the network has"):
        labels_of(known, classes)
    zero = dict(known.data) | {"categories": [{"id": 0, "name": "x"}]}
    with pytest.raises(UserError, match="ids 0 to 0"):
        labels_of(replace(known, data=zero), 6)


def test_the_classes_of_weights() -> None:
    two_stage = {"roi_heads.box_predictor.cls_score.weight": torch.zeros(91, 1024)}
    assert classes_of(two_stage, "fasterrcnn_resnet50_fpn") == 90
    one_stage = {"head.classification_head.cls_logits.weight": torch.zeros(9 * 11, 256, 3, 3)}
    assert classes_of(one_stage, "retinanet_resnet50_fpn") == 10


def test_other_weights_are_listed() -> None:
    mmdetection = {
        "neck.x": torch.zeros(1),
        "bbox_head.y": torch.zeros(1),
        "neck.z": torch.zeros(1),
    }
    with pytest.raises(UserError, match=r"it holds \(number of tensors\): neck \(2\), bbox_head"):
        classes_of(mmdetection, "fasterrcnn_resnet50_fpn")
    wrong = {"head.classification_head.cls_logits.weight": torch.zeros(10, 1)}
    with pytest.raises(UserError, match="no whole number of classes"):
        classes_of(wrong, "retinanet_resnet50_fpn")
