"""A small task of detection: the helpers' set, and a Faster or Mask R-CNN of a few channels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from helpers import coco
from torch import nn
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from attnbench.hosts import detection
from attnbench.hosts.build import HOSTS, Host
from attnbench.hosts.placement.choice import Choice
from attnbench.records.trainings.recipe import Recipe
from attnbench.training import planning
from attnbench.training.detection.data import read_data
from attnbench.training.detection.files import CocoFiles, backbones
from attnbench.training.detection.task import Detection
from attnbench.training.options import TrainOptions

FEW = {
    "box_batch_size_per_image": 8,
    "rpn_pre_nms_top_n_train": 20,
    "rpn_post_nms_top_n_train": 10,
    "rpn_pre_nms_top_n_test": 10,
    "rpn_post_nms_top_n_test": 5,
}

HIDDEN = 8


class Backbone(nn.Module):
    """A host without the heads that take fixed proposals: training has torchvision's instead."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.backbone = detection._pyramid(network, (1, 2, 3, 4), LastLevelMaxPool())


@dataclass(frozen=True)
class SmallDetection(Detection):
    settings: Mapping[str, Any] = field(default_factory=lambda: FEW)

    def _built(self, module: str | None) -> nn.Module:
        heads = {"box_head": TwoMLPHead(256 * 7 * 7, HIDDEN)}
        if self._masks:
            heads["mask_head"] = MaskRCNNHeads(256, (HIDDEN,), 1)
        return Detection._built(replace(self, settings=dict(self.settings) | heads), module)

    def network(self, variant: str) -> nn.Module:
        network = super().network(variant)
        heads = network.roi_heads
        heads.box_predictor = FastRCNNPredictor(HIDDEN, self.data.classes + 1)
        if heads.has_mask():
            heads.mask_predictor = MaskRCNNPredictor(HIDDEN, HIDDEN, self.data.classes + 1)
        return network


def files(folder: Path) -> CocoFiles:
    train, test = coco.write(folder / "one"), coco.write(folder / "two")
    return CocoFiles("set", train, folder / "one" / "images", test, folder / "two" / "images")


def use(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Make the runner train the small task on a set in that folder, on a backbone as small."""
    places = files(folder)
    monkeypatch.setitem(HOSTS, "resnet50", Host((1, 1, 1, 1), width_per_group=8))
    for name in ("fasterrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn"):
        row = detection.DETECTORS[name]
        monkeypatch.setitem(detection.DETECTORS, name, replace(row, make=Backbone))

    def small(given: TrainOptions, recipe: Recipe) -> SmallDetection:
        return SmallDetection(
            images=read_data(places, with_masks="mask" in str(given.host)),
            recipe=recipe,
            size=32,
            host=str(given.host),
            where=Choice(),
            backbones=backbones(given.backbones, given.modules or ()),
        )

    monkeypatch.setattr(planning, "task_of", small)
