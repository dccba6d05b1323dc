"""torchvision's COCO detectors with the module in their backbone, doing the same work every time.

The work of a detector depends on the image: on how many proposals pass non-maximum suppression and
how many boxes a threshold. With untrained weights these numbers would differ between variants, and
a ratio of times would measure that. The networks here do the fixed part: backbone, feature
pyramid, the heads over all levels, RoI pooling and box head on 1000 proposals an image, the mask
branch on 100, always the same ones. Left out are resizing, the decoding of anchors, thresholds and
non-maximum suppression.

They are torchvision's classes with another ``forward``, under its parameter names, so that its
checkpoints fit except for layers that depend on the number of classes. ``FasterRCNN.forward``,
called with the network, still detects. Batch norms are those of the classifier, not frozen ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN, MaskRCNN, RetinaNet
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.resnet import ResNet
from torchvision.ops import MultiScaleRoIAlign, roi_align
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock, LastLevelMaxPool, LastLevelP6P7

from attnbench.host_names import DETECTOR_SIZE

CLASSES = 81
"""The 80 of COCO and the background, which torchvision counts in all three families."""

FROZEN = ("conv1", "bn1", "layer1")
"""Frozen in a detector trained from a pretrained backbone, by default in torchvision
(``trainable_layers=3``) and in mmdetection (``frozen_stages=1``)."""

PYRAMID = 256
"""Channels of every level of the pyramid (Lin et al., arXiv 1612.03144, section 3)."""

SIZE = DETECTOR_SIZE

PROPOSALS, MASKED = 1000, 100
"""For one image: proposals to the box head, and boxes to the mask branch (He et al., arXiv
1703.06870, section 3.1), a quarter of each from every level of the pyramid."""

SIDES = (0.08, 0.16, 0.32, 0.64)
"""Side of the proposals of each level, relative to the image's shorter side: 64 to 512 pixels of
800, which equation 1 of arXiv 1612.03144 assigns to the four levels."""


def fixed_proposals() -> list[list[list[float]]]:
    """Return by level the corners (x1, y1, x2, y2) of proposals spread over a unit square.

    The square is the upper left of the image, with its shorter side: the cost of pooling depends
    neither on a proposal's place nor on its size.
    """
    levels: list[list[list[float]]] = []
    for side in SIDES:
        boxes = []
        for number in range(PROPOSALS // len(SIDES)):
            # Multiples of two irrational numbers: no two boxes of a level are near each other.
            left, top = (number * step % 1 * (1 - side) for step in (0.7548776662, 0.5698402910))
            boxes.append([left, top, left + side, top + side])
        levels.append(boxes)
    return levels


def pooled(levels: Mapping[str, Tensor], proposals: Tensor, pool: MultiScaleRoIAlign) -> Tensor:
    """Pool (images * proposals, 256, size, size) from ``proposals`` (level, proposal, corner).

    In float32, as torchvision does under autocast: its kernels do not support bfloat16. Where the
    pyramid has fewer levels, each takes the proposals of several.
    """
    features = []
    names = [name for name in pool.featmap_names if name in levels]
    if len(names) != len(proposals):
        proposals = proposals.reshape(len(names), -1, 4)
    for name, corners in zip(names, proposals, strict=True):
        level = levels[name]
        aligned = roi_align(
            level.float(),
            [corners.float()] * level.shape[0],
            pool.output_size,
            spatial_scale=min(level.shape[-2:]),
            sampling_ratio=pool.sampling_ratio,
        )
        features.append(aligned.to(level.dtype))
    return torch.cat(features)


def _pyramid(network: ResNet, stages: tuple[int, ...], extra: ExtraFPNBlock) -> nn.Module:
    names = {f"layer{stage}": str(level) for level, stage in enumerate(stages)}
    widths = [network.get_submodule(name)[-1].bn3.num_features for name in names]  # type: ignore[index]
    pyramid: nn.Module = BackboneWithFPN(network, names, widths, PYRAMID, extra_blocks=extra)
    return pyramid


class FixedFasterRCNN(FasterRCNN):  # type: ignore[misc]  # torchvision has no types
    """Ren et al., arXiv 1506.01497, with the pyramid of arXiv 1612.03144.

    Returns objectness and boxes by level, then class scores and boxes of all proposals.
    """

    def __init__(self, network: ResNet) -> None:
        super().__init__(_pyramid(network, (1, 2, 3, 4), LastLevelMaxPool()), CLASSES)
        self.register_buffer("proposals", torch.tensor(fixed_proposals()), persistent=False)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return (*self.boxes(self.backbone(images)),)

    def boxes(self, levels: Mapping[str, Tensor]) -> list[Tensor]:
        """Return the outputs of the region proposal head and of the box head."""
        objectness, regions = self.rpn.head(list(levels.values()))
        heads = self.roi_heads
        features = heads.box_head(pooled(levels, self.proposals, heads.box_roi_pool))
        return [*objectness, *regions, *heads.box_predictor(features)]


class FixedMaskRCNN(MaskRCNN):  # type: ignore[misc]
    """He et al., arXiv 1703.06870.

    Returns as Faster R-CNN, then a (28, 28) mask by class for a tenth of the proposals.
    """

    def __init__(self, network: ResNet) -> None:
        super().__init__(_pyramid(network, (1, 2, 3, 4), LastLevelMaxPool()), CLASSES)
        self.register_buffer("proposals", torch.tensor(fixed_proposals()), persistent=False)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        levels = self.backbone(images)
        heads = self.roi_heads
        masked = self.proposals[:, : MASKED // len(SIDES)]
        features = heads.mask_head(pooled(levels, masked, heads.mask_roi_pool))
        return (*FixedFasterRCNN.boxes(self, levels), heads.mask_predictor(features))


class FixedRetinaNet(RetinaNet):  # type: ignore[misc]
    """Lin et al., arXiv 1708.02002; P6 is made from P5, as in torchvision.

    Returns class scores and boxes of every anchor of every level.
    """

    def __init__(self, network: ResNet) -> None:
        super().__init__(_pyramid(network, (2, 3, 4), LastLevelP6P7(PYRAMID, PYRAMID)), CLASSES)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        outputs = self.head(list(self.backbone(images).values()))
        return outputs["cls_logits"], outputs["bbox_regression"]


class Features(nn.Module):
    """The backbone alone, nothing frozen, under ResNet's names: returns the four stages' maps."""

    def __init__(self, network: ResNet) -> None:
        super().__init__()
        for name, part in network.named_children():
            if name not in {"avgpool", "fc"}:
                self.add_module(name, part)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        x, maps = images, []
        for name, part in self.named_children():
            x = part(x)
            if name.startswith("layer"):
                maps.append(x)
        return tuple(maps)


def body(network: nn.Module) -> nn.Module:
    """Return the part of any host that has the stages ``layer1`` to ``layer4``."""
    backbone = getattr(network, "backbone", None)
    return network if backbone is None else backbone.body  # type: ignore[no-any-return]


def freeze(network: nn.Module) -> None:
    """Freeze the parameters in :data:`FROZEN`, those of attention modules included."""
    for part in FROZEN:
        body(network).get_submodule(part).requires_grad_(False)


@dataclass(frozen=True)
class Detector:
    """The host that is the backbone, what is built on it, and whether its first stage is frozen."""

    backbone: str
    make: Callable[[ResNet], nn.Module]
    frozen: bool = True


DETECTORS = {
    "resnet50_backbone": Detector("resnet50", Features, frozen=False),
    "resnet101_backbone": Detector("resnet101", Features, frozen=False),
    "fasterrcnn_resnet50_fpn": Detector("resnet50", FixedFasterRCNN),
    "fasterrcnn_resnet101_fpn": Detector("resnet101", FixedFasterRCNN),
    "maskrcnn_resnet50_fpn": Detector("resnet50", FixedMaskRCNN),
    "maskrcnn_resnet101_fpn": Detector("resnet101", FixedMaskRCNN),
    "retinanet_resnet50_fpn": Detector("resnet50", FixedRetinaNet),
    "retinanet_resnet101_fpn": Detector("resnet101", FixedRetinaNet),
}
"""Detectors by torchvision's names, or names formed like them."""
