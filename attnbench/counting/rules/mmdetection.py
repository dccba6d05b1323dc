"""Two rules of mmdetection 1's get_flops.py, which printed papers' figures of detectors.

Its counter is like ``leaf``, and its detectors have other heads than torchvision's. Both
are applied to a twin, so that a figure is computed and not corrected.

The heads (mmdetection's ``mmdet/models`` and ``configs`` of version 1):

- RetinaNet has an output for each class and none for the background;
- RetinaNet makes its level P6 from the backbone's last map, torchvision from P5;
- the head for regions calls its ReLU as a function, the head for boxes as a module, torchvision
  the other way round: a rule by module sees the second and not the first.

The counter (``mmdet/utils/flops_counter.py`` @515a329):

- Conv1d counts as Conv2d does;
- so does a transposed convolution: its whole kernel for each output, though with a stride of 2
  only a quarter of it meets one.

With an image of 1280x800, the script's default.
"""

from __future__ import annotations

from typing import Any  # torchvision's heads, which have no types

import torch
from torch import Tensor, nn
from torchvision.models.detection.faster_rcnn import TwoMLPHead
from torchvision.models.detection.retinanet import RetinaNetClassificationHead
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork, LastLevelP6P7

from attnbench.counting.rule import Count, Input, Rule
from attnbench.counting.rules import leaf, parameters
from attnbench.counting.twin import mode_of, twin


def with_its_heads(model: nn.Module, given: Input) -> tuple[nn.Module, Tensor]:
    """Return a twin of a detector with the heads that mmdetection would give it, and images."""
    network, images = twin(model, given)
    with mode_of(images), torch.device("cpu"):
        for module in list(network.modules()):
            if isinstance(module, RetinaNetClassificationHead):
                _without_background(module)
            elif isinstance(module, RPNHead):
                _relu_as_function(module)
            elif isinstance(module, TwoMLPHead):
                _relu_as_module(module)
            elif isinstance(module, FeaturePyramidNetwork):
                _from_the_last_map(module)
    return network, images


def _without_background(head: Any) -> None:
    last = head.cls_logits
    head.num_classes -= 1
    outputs = head.num_anchors * head.num_classes
    head.cls_logits = nn.Conv2d(last.in_channels, outputs, 3, padding=1)


def _relu_as_function(head: nn.Module) -> None:
    """Replace each ReLU by an identity, which counts nothing and changes no shape."""
    for layer in head.modules():
        for name, part in list(layer.named_children()):
            if isinstance(part, nn.ReLU):
                setattr(layer, name, nn.Identity())


def _relu_as_module(head: Any) -> None:
    """Put one before torchvision's call of the function, which then changes nothing."""
    head.fc6, head.fc7 = (nn.Sequential(layer, nn.ReLU()) for layer in (head.fc6, head.fc7))


def _from_the_last_map(pyramid: Any) -> None:
    extra = pyramid.extra_blocks
    if isinstance(extra, LastLevelP6P7):
        lateral = pyramid.inner_blocks[-1][0]
        extra.p6 = nn.Conv2d(lateral.in_channels, extra.p6.out_channels, 3, 2, 1)
        extra.use_P5 = False


def _whole_window(module: nn.ConvTranspose2d, x: Tensor, out: Tensor) -> int:
    return out.numel() * (module.weight[:, 0].numel() + (module.bias is not None))


COSTS = leaf.COSTS | {nn.Conv1d: leaf.COSTS[nn.Conv2d], nn.ConvTranspose2d: _whole_window}


def count(model: nn.Module, given: Input) -> Count:
    """Sum the costs of the leaf modules in the forward of the twin with these heads."""
    return leaf.count_by(COSTS, *with_its_heads(model, given))


def count_learnable(model: nn.Module, given: Input) -> Count:
    """Count the learnable parameters of the twin with these heads."""
    return parameters.count(*with_its_heads(model, given))


RULE = Rule(
    name="leaf, mmdetection",
    definition=(
        "leaf, of a detector with mmdetection's heads (for regions without a ReLU module, for "
        "boxes with two; in RetinaNet no output for the background, and P6 made from the "
        "backbone's last map), with Conv1d, and a transposed convolution as any other."
    ),
    source="mmdetection 1, tools/get_flops.py; it printed the ECA paper's detectors",
    count=count,
)

LEARNABLE = Rule(
    name="learnable, mmdetection",
    definition="learnable, of a detector with mmdetection's heads.",
    source="mmdetection 1, as above",
    count=count_learnable,
)
