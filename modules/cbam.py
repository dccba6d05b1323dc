"""CBAM: Convolutional Block Attention Module (Woo et al., ECCV 2018), arXiv 1807.06521.

Authors' code: Jongchan/attention-module, MODELS/cbam.py @459efad. The two gates keep the
authors' attribute names, capitals included, so that released checkpoints fit by one rename.
Deviations: none.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from .interface import SettingsError, divide


class ChannelGate(nn.Module):
    """Scale each channel by a gate computed from channel means and maxima (section 3, eq. 2)."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        reduced = divide(channels, reduction, "cbam, reduction")
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.max_pool = nn.AdaptiveMaxPool2d(1)
        first, second = nn.Linear(channels, reduced), nn.Linear(reduced, channels)
        # The authors' network sets every bias to 0 (MODELS/model_resnet.py, lines 139 and 140).
        nn.init.zeros_(first.bias)
        nn.init.zeros_(second.bias)
        self.mlp = nn.Sequential(nn.Flatten(), first, nn.ReLU(), second)

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.mlp(self.avg_pool(x)) + self.mlp(self.max_pool(x)))
        return x * gate[:, :, None, None]


class SpatialGate(nn.Module):
    """Scale each position by a gate computed from its maximum and mean (section 3, eq. 3)."""

    def __init__(self, kernel_size: int) -> None:
        super().__init__()
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise SettingsError(f"cbam: kernel_size {kernel_size} must be odd and positive")
        conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)
        bn = nn.BatchNorm2d(1, eps=1e-5, momentum=0.01)
        nn.init.kaiming_normal_(conv.weight, mode="fan_out")
        nn.init.zeros_(bn.weight)
        nn.init.zeros_(bn.bias)
        self.spatial = nn.Sequential(OrderedDict(conv=conv, bn=bn))

    def forward(self, x: Tensor) -> Tensor:
        pooled = torch.cat((x.amax(1, keepdim=True), x.mean(1, keepdim=True)), dim=1)
        return x * torch.sigmoid(self.spatial(pooled))


class CBAM(nn.Module):
    """The channel gate, then the spatial gate (equation 1).

    (B, C, H, W) -> (B, C, H, W).

    Raises:
        SettingsError: ``reduction`` does not divide ``channels``, or an even ``kernel_size``.
    """

    def __init__(self, channels: int, reduction: int = 16, kernel_size: int = 7) -> None:
        super().__init__()
        self.ChannelGate = ChannelGate(channels, reduction)
        self.SpatialGate = SpatialGate(kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        gated: Tensor = self.SpatialGate(self.ChannelGate(x))
        return gated
