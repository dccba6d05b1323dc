"""SE: Squeeze-and-Excitation Networks (Hu et al., CVPR 2018), arXiv 1709.01507.

Authors' code: hujie-frank/SENet (Caffe, with biases); parameters are named as in
implus/PytorchInsight, classification/models/imagenet/resnet_se.py @2864528.
Deviations: none.
"""

from __future__ import annotations

from torch import Tensor, nn

from .interface import divide


class SqueezeExcitation(nn.Module):
    """Scale each channel by a gate computed from all channel means (equations 2 to 4).

    (B, C, H, W) -> (B, C, H, W).

    Raises:
        SettingsError: ``reduction`` does not divide ``channels``.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        reduced = divide(channels, reduction, "se, reduction")
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Sequential(
            nn.Linear(channels, reduced),
            nn.ReLU(inplace=True),
            nn.Linear(reduced, channels),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        gate: Tensor = self.fc(self.avg_pool(x).flatten(1))
        return x * gate[:, :, None, None]
