"""From a detector's outputs to a record: planted answers, and a real network without training."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers import coco
from torch import nn

from attnbench.accuracy.options import EvaluationOptions
from attnbench.detection.annotations import read
from attnbench.detection.evaluate import answers, detections, evaluate, of_kind, prepare
from attnbench.detection.images import DetectionImages
from attnbench.detection.networks import detector
from attnbench.detection.options import checked
from attnbench.detection.package import precision
from attnbench.errors import UserError
from attnbench.hosts.conditions import BASE

LABELS = {3: 1, 7: 2}


class Knowing(nn.Module):
    """A detector that answers with the targets, as torchvision's do, and finds one thing more."""

    def __init__(self, images: DetectionImages) -> None:
        super().__init__()
        self.targets = iter([images.sample(place, with_masks=True)[1] for place in range(2)])

    def forward(self, images):  # noqa: ARG002  as torchvision's
        target = next(self.targets)
        number = len(target["labels"])
        return [
            {
                "boxes": torch.cat([target["boxes"], torch.tensor([[0.0, 0, 9, 9]])]),
                "labels": torch.cat([target["labels"], torch.tensor([5])]),  # of no category here
                "scores": torch.full((number + 1,), 0.9),
                "masks": torch.cat([target["masks"], torch.zeros(1, 96, 96)])[:, None].float(),
            }
        ]


@pytest.fixture
def images(tmp_path: Path) -> DetectionImages:
    return DetectionImages(read(coco.write(tmp_path)), tmp_path / "images", LABELS)


def test_a_network_that_knows_the_answers_is_perfect(images: DetectionImages) -> None:
    steps: list[int] = []
    found = detections(Knowing(images), images, BASE, lambda _, done: steps.append(done))
    assert steps == [0, 1, 2]
    for kind in ("box", "mask"):
        figures = precision(images.annotations.data, of_kind(found, kind), kind)
        assert (figures["ap"], figures["ap75"]) == (1.0, 1.0)


def test_answers_that_are_not_finite_are_refused() -> None:
    output = {
        "boxes": torch.zeros(1, 4),
        "scores": torch.tensor([float("nan")]),
        "labels": torch.ones(1).long(),
    }
    with pytest.raises(UserError, match="not finite"):
        answers(output, 1, {1: 3})


@pytest.fixture
def options(tmp_path: Path, small_host: None) -> EvaluationOptions:  # noqa: ARG001  before it
    torch.manual_seed(0)
    weights = tmp_path / "weights.pth"
    torch.save(detector("retinanet_resnet50_fpn", "eca", 2).state_dict(), weights)
    return EvaluationOptions(
        weights=weights,
        data=tmp_path / "images",
        annotations=coco.write(tmp_path),
        module="eca",
        host="RetinaNet_ResNet50_FPN",
        image_size=64,
        device="cpu",
        threads=1,
    )


def test_a_record_says_what_was_evaluated(options: EvaluationOptions) -> None:
    prepared = prepare(checked(options))
    assert "2 images with 3 annotations of 2 categories" in prepared.described
    record = evaluate(prepared, lambda *_: None)
    assert (record.host, record.module, record.mask) == ("retinanet_resnet50_fpn", "eca", None)
    assert record.box["ap"] is not None  # of an untrained network next to nothing
    assert record.box["ap"] < 0.2
    assert record.box["ap_large"] is None
    assert (record.shorter, record.longer) == (64, 107)
    assert (record.data.images, record.data.objects, record.data.categories) == (2, 3, 2)


def test_weights_that_do_not_fit_are_refused(options: EvaluationOptions) -> None:
    with pytest.raises(UserError, match=r"weights\.pth: these weights do not fit"):
        prepare(checked(replace(options, module="se")))


def test_a_detector_of_masks_needs_masks(options: EvaluationOptions, tmp_path: Path) -> None:
    data = coco.content()
    del data["annotations"][0]["segmentation"]
    coco.write(tmp_path, data)
    with pytest.raises(UserError, match="annotation 1 has no 'segmentation', and the host"):
        prepare(checked(replace(options, host="maskrcnn_resnet50_fpn")))
