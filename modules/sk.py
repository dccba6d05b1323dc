"""SK: Selective Kernel Networks (Li et al., CVPR 2019), arXiv 1903.06586.

The defaults are the variant on a plain ResNet that was published at 26.15M parameters in
ResNet-50: a dense and a grouped 3x3 branch. The original SKNet-50 and 101 have two grouped
branches, one of them dilated, and a squeezed vector of at least 32; the table of modules holds
these settings for the hosts of that name. Authors' code: implus/PytorchInsight,
classification/models/imagenet/resnet_sk.py @2864528, which pools each branch and adds; the
paper (section 3.1, equation 2) and this file pool the sum, the same value. The ReLU of the
squeezed vector is a function there and here: counters that look at modules do not see it.
Deviations: none.
"""

from __future__ import annotations

from torch import Tensor, nn

from .interface import divide


class SelectiveKernel(nn.Module):
    """Two convolutions whose outputs each channel mixes by a softmax (equations 1 to 6).

    (B, C, H, W) -> (B, C, H / stride, W / stride), rounded up.

    ``groups`` and ``dilation`` are those of the two branches; ``squeezed`` is the length of the
    squeezed vector, a sixteenth of the channels where it is left out.

    Raises:
        SettingsError: ``groups`` or 16 does not divide ``channels``.
    """

    def __init__(
        self,
        channels: int,
        stride: int = 1,
        groups: tuple[int, int] = (1, 32),
        dilation: tuple[int, int] = (1, 1),
        squeezed: int | None = None,
    ) -> None:
        super().__init__()
        for number in groups:
            divide(channels, number, "sk, groups")
        if squeezed is None:
            squeezed = divide(channels, 16, "sk, reduction")
        self.conv2 = _branch(channels, stride, groups[0], dilation[0])
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv2g = _branch(channels, stride, groups[1], dilation[1])
        self.bn2g = nn.BatchNorm2d(channels)
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.conv_fc1 = nn.Conv2d(channels, squeezed, 1, bias=False)
        self.bn_fc1 = nn.BatchNorm2d(squeezed)
        self.conv_fc2 = nn.Conv2d(squeezed, 2 * channels, 1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        # As the host initialises the convolution that this stands for.
        for conv in (self.conv2, self.conv2g, self.conv_fc1, self.conv_fc2):
            nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        dense = self.relu(self.bn2(self.conv2(x)))
        grouped = self.relu(self.bn2g(self.conv2g(x)))
        squeezed = self.bn_fc1(self.conv_fc1(self.avg_pool(dense + grouped))).relu()
        weights = self.conv_fc2(squeezed).unflatten(1, (2, -1)).softmax(dim=1)
        mixed: Tensor = dense * weights[:, 0] + grouped * weights[:, 1]
        return mixed


def _branch(channels: int, stride: int, groups: int, dilation: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, stride, dilation, dilation, groups=groups, bias=False)
