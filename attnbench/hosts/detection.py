"""torchvision's COCO detectors with the module in their backbone, doing the same work every time.

What a detector does for an image depends on what it finds there: so many proposals pass
non-maximum suppression, so many boxes a threshold. With weights that nobody has trained that number
would differ from variant to variant, and a ratio of times would speak of it. So the networks here
do what every image costs: backbone, feature pyramid, the heads over all levels, RoI pooling and
box head on 1000 proposals an image, the mask branch on 100, and always the same ones. Resizing,
the decoding of anchors, thresholds and non-maximum suppression are not in it.

They are torchvision's own classes with another ``forward``: its parameters and names, so that its
checkpoints fit but for the layers that depend on the number of classes. ``FasterRCNN.forward``,
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

CLASSES = 81
"""The 80 of COCO and the background, which torchvision counts as one in all three families."""

FROZEN = ("conv1", "bn1", "layer1")
"""What does not learn where a detector is trained from a pretrained backbone: the default of
torchvision (``trainable_layers=3``) and of mmdetection (``frozen_stages=1``)."""

PYRAMID = 256
"""Channels of every level of the pyramid (Lin et al., arXiv 1612.03144, section 3)."""

SIZE = (800, 1333)
"""Height and width of an image where none is stated: the shorter and the longer side that
detectors are tested with."""

PROPOSALS, MASKED = 1000, 100
"""For one image: proposals to the box head, and boxes to the mask branch (He et al., arXiv
1703.06870, section 3.1), a quarter of each from every level of the pyramid."""

SIDES = (0.08, 0.16, 0.32, 0.64)
"""Of the proposals from each level, of the image's shorter side: 64 to 512 pixels of 800, which
equation 1 of arXiv 1612.03144 puts on the four levels."""


def fixed_proposals() -> list[list[list[float]]]:
    """By level the corners (x1, y1, x2, y2) of its proposals, spread evenly over a unit square.

    The square is the image's upper left one, as large as its shorter side: what pooling does for
    a proposal depends neither on its place nor on its size.
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
    """(images * proposals, 256, size, size) from ``proposals`` (level, proposal, corner).

    In single precision as torchvision pools under autocast: its kernels know no bfloat16.
    """
    found = []
    for name, corners in zip(pool.featmap_names, proposals, strict=True):
        level = levels[name]
        pieces = roi_align(
            level.float(),
            [corners.float()] * level.shape[0],
            pool.output_size,
            spatial_scale=min(level.shape[-2:]),
            sampling_ratio=pool.sampling_ratio,
        )
        found.append(pieces.to(level.dtype))
    return torch.cat(found)


class FixedFasterRCNN(FasterRCNN):  # type: ignore[misc]  # torchvision has no types
    """Objectness and boxes of every level, then class scores and boxes of every proposal."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__(backbone, CLASSES)
        self.register_buffer("proposals", torch.tensor(fixed_proposals()), persistent=False)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        levels = self.backbone(images)
        return (*self.boxes(levels),)

    def boxes(self, levels: Mapping[str, Tensor]) -> list[Tensor]:
        """What the heads for regions and for boxes give."""
        objectness, regions = self.rpn.head(list(levels.values()))
        heads = self.roi_heads
        features = heads.box_head(pooled(levels, self.proposals, heads.box_roi_pool))
        return [*objectness, *regions, *heads.box_predictor(features)]


class FixedMaskRCNN(MaskRCNN):  # type: ignore[misc]
    """As Faster R-CNN, then a mask (28, 28) for each class of a tenth of the proposals."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__(backbone, CLASSES)
        self.register_buffer("proposals", torch.tensor(fixed_proposals()), persistent=False)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        levels = self.backbone(images)
        heads = self.roi_heads
        masked = self.proposals[:, : MASKED // len(SIDES)]
        features = heads.mask_head(pooled(levels, masked, heads.mask_roi_pool))
        return (*FixedFasterRCNN.boxes(self, levels), heads.mask_predictor(features))


class FixedRetinaNet(RetinaNet):  # type: ignore[misc]
    """Class scores and boxes of every anchor of every level."""

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        found = self.head(list(self.backbone(images).values()))
        return found["cls_logits"], found["bbox_regression"]


class Features(nn.Module):
    """The backbone alone, nothing frozen: the maps of the four stages, under ResNet's names."""

    def __init__(self, network: ResNet) -> None:
        super().__init__()
        for name, part in network.named_children():
            if name not in {"avgpool", "fc"}:
                self.add_module(name, part)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        x = images
        maps = []
        for name, part in self.named_children():
            x = part(x)
            if name.startswith("layer"):
                maps.append(x)
        return tuple(maps)


def faster_rcnn(network: ResNet) -> nn.Module:
    """Ren et al., arXiv 1506.01497, with the pyramid of arXiv 1612.03144."""
    return FixedFasterRCNN(_pyramid(network, (1, 2, 3, 4), LastLevelMaxPool()))


def mask_rcnn(network: ResNet) -> nn.Module:
    """He et al., arXiv 1703.06870."""
    return FixedMaskRCNN(_pyramid(network, (1, 2, 3, 4), LastLevelMaxPool()))


def retinanet(network: ResNet) -> nn.Module:
    """Lin et al., arXiv 1708.02002. Its level P6 is made from P5 in torchvision."""
    extra = LastLevelP6P7(PYRAMID, PYRAMID)
    return FixedRetinaNet(_pyramid(network, (2, 3, 4), extra), CLASSES)


def _pyramid(network: ResNet, stages: tuple[int, ...], extra: ExtraFPNBlock) -> nn.Module:
    names = {f"layer{stage}": str(level) for level, stage in enumerate(stages)}
    widths = [network.get_submodule(name)[-1].bn3.num_features for name in names]  # type: ignore[index]
    pyramid: nn.Module = BackboneWithFPN(network, names, widths, PYRAMID, extra_blocks=extra)
    return pyramid


def body(network: nn.Module) -> nn.Module:
    """The part of a detector, or of any host, whose stages are ``layer1`` to ``layer4``."""
    backbone = getattr(network, "backbone", None)
    return network if backbone is None else backbone.body  # type: ignore[no-any-return]


def freeze(network: nn.Module) -> None:
    """Let what stands in :data:`FROZEN` not learn, a module in it included."""
    for name, parameter in body(network).named_parameters():
        if name.startswith(tuple(f"{part}." for part in FROZEN)):
            parameter.requires_grad_(False)


@dataclass(frozen=True)
class Detector:
    """What is made of the network of a host, and whether its first stage is frozen then."""

    backbone: str
    make: Callable[[ResNet], nn.Module]
    frozen: bool = True


DETECTORS = {
    "resnet50_backbone": Detector("resnet50", Features, frozen=False),
    "resnet101_backbone": Detector("resnet101", Features, frozen=False),
    "fasterrcnn_resnet50_fpn": Detector("resnet50", faster_rcnn),
    "fasterrcnn_resnet101_fpn": Detector("resnet101", faster_rcnn),
    "maskrcnn_resnet50_fpn": Detector("resnet50", mask_rcnn),
    "maskrcnn_resnet101_fpn": Detector("resnet101", mask_rcnn),
    "retinanet_resnet50_fpn": Detector("resnet50", retinanet),
    "retinanet_resnet101_fpn": Detector("resnet101", retinanet),
}
"""Hosts by torchvision's names, or by names made as those are."""
