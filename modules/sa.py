"""SA-Net: Shuffle Attention for Deep Convolutional Neural Networks
(Zhang and Yang, ICASSP 2021), arXiv 2102.00240.

Authors' code: wofmanaf/SA-Net, models/sa_resnet.py @00a6760.
Deviations: none.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .interface import divide


class ShuffleAttention(nn.Module):
    """Gate half of each group's channels by their means, half by position, then shuffle.

    (B, C, H, W) -> (B, C, H, W). Equations 2 to 5; all groups share the parameters.

    Raises:
        SettingsError: ``channels`` does not divide into ``groups`` groups of two halves.
    """

    def __init__(self, channels: int, groups: int = 64) -> None:
        super().__init__()
        half = divide(channels, groups, "sa, two halves for each of the groups", each=2)
        self.groups = groups
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.cweight = nn.Parameter(torch.zeros(1, half, 1, 1))
        self.cbias = nn.Parameter(torch.ones(1, half, 1, 1))
        self.sweight = nn.Parameter(torch.zeros(1, half, 1, 1))
        self.sbias = nn.Parameter(torch.ones(1, half, 1, 1))
        self.gn = nn.GroupNorm(half, half)

    def forward(self, x: Tensor) -> Tensor:
        grouped = x.reshape(x.shape[0] * self.groups, -1, *x.shape[2:])
        channel, spatial = grouped.chunk(2, dim=1)
        channel = channel * torch.sigmoid(self.cweight * self.avg_pool(channel) + self.cbias)
        spatial = spatial * torch.sigmoid(self.sweight * self.gn(spatial) + self.sbias)
        joined = torch.cat((channel, spatial), dim=1).reshape(x.shape)
        # The shuffle: channel (i, j) of a 2 x C/2 table goes to (j, i).
        shuffled: Tensor = joined.unflatten(1, (2, -1)).transpose(1, 2)
        return shuffled.reshape(x.shape)
