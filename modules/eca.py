"""ECA-Net: Efficient Channel Attention for Deep Convolutional Neural Networks
(Wang et al., CVPR 2020), arXiv 1910.03151.

Authors' code: BangguWu/ECANet, models/eca_module.py @b332f6b.
Deviations: none.
"""

from __future__ import annotations

from math import log2

from torch import Tensor, nn

from .interface import SettingsError


def adaptive_kernel_size(channels: int) -> int:
    """Return int(|log2(C) / 2 + 1 / 2|), or the next odd number (section 3.2.3, gamma 2, b 1)."""
    size = int(abs(log2(channels) / 2 + 1 / 2))
    return size if size % 2 else size + 1


class EfficientChannelAttention(nn.Module):
    """Scale each channel by a gate computed from its neighbours' means (equations 8 and 9).

    (B, C, H, W) -> (B, C, H, W). Without ``kernel_size`` the paper's rule gives it; the
    published networks use other sizes in some stages, which the table of modules holds.

    Raises:
        SettingsError: no channels, or an even ``kernel_size``.
    """

    def __init__(self, channels: int, kernel_size: int | None = None) -> None:
        super().__init__()
        if channels < 1:
            raise SettingsError(f"eca: {channels} channels: must be positive")
        if kernel_size is None:
            kernel_size = adaptive_kernel_size(channels)
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise SettingsError(f"eca: kernel_size {kernel_size} must be odd and positive")
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.conv = nn.Conv1d(1, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        means = self.avg_pool(x).flatten(2).transpose(1, 2)  # (B, 1, C)
        gate: Tensor = self.conv(means).sigmoid()
        return x * gate.transpose(1, 2)[..., None]
