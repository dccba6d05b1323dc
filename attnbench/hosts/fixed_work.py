"""torchvision's other detectors, doing the same work for every image: see ``detection``.

They are built by torchvision and get another ``forward``: backbone, heads over all levels, and of
two-stage detectors the pooling and heads on fixed proposals. 91 classes, torchvision's default.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torchvision.models.detection import FCOS, FasterRCNN, KeypointRCNN, MaskRCNN, RetinaNet
from torchvision.models.detection.ssd import SSD

from attnbench.hosts.detection import MASKED, SIDES, FixedFasterRCNN, fixed_proposals, pooled


class _OneStage(nn.Module):
    """Returns what the head says of every anchor or place of every level."""

    backbone: nn.Module
    head: nn.Module

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        levels: Tensor | Mapping[str, Tensor] = self.backbone(images)
        maps = [levels] if isinstance(levels, Tensor) else [*levels.values()]
        return (*self.head(maps).values(),)


class FixedSSD(_OneStage, SSD):  # type: ignore[misc]  # torchvision has no types
    """Liu et al., arXiv 1512.02325, and SSDLite (Sandler et al., arXiv 1801.04381)."""


class FixedFCOS(_OneStage, FCOS):  # type: ignore[misc]
    """Tian et al., arXiv 1904.01355."""


class FixedRetinaNet(_OneStage, RetinaNet):  # type: ignore[misc]
    """Lin et al., arXiv 1708.02002, as torchvision's second version has it."""


class FixedTwoStage(FixedFasterRCNN):
    """Ren et al., arXiv 1506.01497, on any backbone of torchvision."""


class FixedMask(MaskRCNN):  # type: ignore[misc]
    """He et al., arXiv 1703.06870: the masks of a tenth of the proposals too."""

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        levels, heads = self.backbone(images), self.roi_heads
        masked = self.proposals[:, : MASKED // len(SIDES)]
        features = heads.mask_head(pooled(levels, masked, heads.mask_roi_pool))
        return (*FixedFasterRCNN.boxes(self, levels), heads.mask_predictor(features))


class FixedKeypoint(KeypointRCNN):  # type: ignore[misc]
    """He et al., arXiv 1703.06870, section 5: the keypoints of a tenth of the proposals too."""

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        levels, heads = self.backbone(images), self.roi_heads
        of_people = self.proposals[:, : MASKED // len(SIDES)]
        features = heads.keypoint_head(pooled(levels, of_people, heads.keypoint_roi_pool))
        return (*FixedFasterRCNN.boxes(self, levels), heads.keypoint_predictor(features))


ONE_STAGE: dict[type, type] = {SSD: FixedSSD, FCOS: FixedFCOS, RetinaNet: FixedRetinaNet}

TWO_STAGE: dict[type, type] = {
    MaskRCNN: FixedMask,
    KeypointRCNN: FixedKeypoint,
    FasterRCNN: FixedTwoStage,
}


def fix(network: nn.Module) -> nn.Module:
    """Give a detector of torchvision the forward of fixed work; return the same network."""
    kind = type(network)
    if kind in TWO_STAGE:
        corners = torch.tensor(fixed_proposals())
        network.register_buffer("proposals", corners, persistent=False)
    network.__class__ = (ONE_STAGE | TWO_STAGE)[kind]
    return network
