"""GC: GCNet, Non-local Networks Meet Squeeze-Excitation Networks and Beyond (Cao et al.,
ICCV workshops 2019), arXiv 1904.11492.

Authors' code: xvjiarui/GCNet, mmdet/ops/gcb/context_block.py, the same file as in
open-mmlab/mmdetection @44b5cb6 (attention pooling, fusion by addition).
Deviations: none. The paper's detectors use it in stages c3 to c5 only; a host's ``stages``
say so.
"""

from __future__ import annotations

from torch import Tensor, nn

from .interface import divide


class GlobalContext(nn.Module):
    """Add one context vector, an attention-weighted mean, to every position (equation 5).

    (B, C, H, W) -> (B, C, H, W). Starts as the identity. ``reduction`` is 1 / ratio.

    Raises:
        SettingsError: ``reduction`` does not divide ``channels``.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        reduced = divide(channels, reduction, "gc, reduction")
        self.conv_mask = nn.Conv2d(channels, 1, 1)
        last = nn.Conv2d(reduced, channels, 1)
        self.channel_add_conv = nn.Sequential(
            nn.Conv2d(channels, reduced, 1),
            nn.LayerNorm([reduced, 1, 1]),
            nn.ReLU(inplace=True),
            last,
        )
        nn.init.kaiming_normal_(self.conv_mask.weight, mode="fan_in", nonlinearity="relu")
        for start in (self.conv_mask.bias, last.weight, last.bias):
            nn.init.zeros_(start)  # type: ignore[arg-type]  # both convolutions have a bias

    def forward(self, x: Tensor) -> Tensor:
        weights = self.conv_mask(x).flatten(2).softmax(dim=2)  # (B, 1, H * W)
        context = x.flatten(2) @ weights.transpose(1, 2)  # (B, C, 1)
        added: Tensor = self.channel_add_conv(context[..., None])
        return x + added
