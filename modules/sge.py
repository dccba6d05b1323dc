"""SGE: Spatial Group-wise Enhance: Improving Semantic Feature Learning in Convolutional
Networks (Li et al., 2019), arXiv 1905.09646.

Authors' code: implus/PytorchInsight, classification/models/imagenet/resnet_sge.py @2864528.
Deviations: none.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .interface import divide


class SpatialGroupEnhance(nn.Module):
    """Scale each position of a group by its likeness to the group's mean (section 3).

    (B, C, H, W) -> (B, C, H, W). The deviation is the unbiased one, so a map of a single
    position gives NaN, as the authors' code does.

    Raises:
        SettingsError: ``groups`` does not divide ``channels``.
    """

    def __init__(self, channels: int, groups: int = 64) -> None:
        super().__init__()
        divide(channels, groups, "sge, groups")
        self.groups = groups
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.weight = nn.Parameter(torch.zeros(1, groups, 1, 1))
        self.bias = nn.Parameter(torch.ones(1, groups, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        grouped = x.reshape(x.shape[0] * self.groups, -1, *x.shape[2:])
        likeness = (grouped * self.avg_pool(grouped)).sum(1).flatten(1)  # (B * G, H * W)
        # One name for what follows, so that no map lives longer than in the authors' code.
        gate = likeness - likeness.mean(1, keepdim=True)
        gate = gate / (gate.std(1, keepdim=True) + 1e-5)
        gate = gate.reshape(-1, self.groups, *x.shape[2:]) * self.weight + self.bias
        enhanced: Tensor = grouped * gate.reshape(-1, 1, *x.shape[2:]).sigmoid()
        return enhanced.reshape(x.shape)
