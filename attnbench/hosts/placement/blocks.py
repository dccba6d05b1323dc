"""Residual blocks with an attention module at its site, under torchvision's parameter names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from attnbench.modules import AttentionSpec, Site


class AfterBn2(nn.Module):
    """torchvision's basic block; its output passes through ``attention`` before the addition."""

    def __init__(
        self, block: BasicBlock | Bottleneck, attention: AttentionSpec, settings: dict[str, Any]
    ) -> None:
        super().__init__()
        self.authors_prefix = attention.authors_prefix
        self.conv1, self.bn1 = block.conv1, block.bn1
        self.conv2, self.bn2 = block.conv2, block.bn2
        channels = self.conv2.out_channels
        if isinstance(block, Bottleneck):
            self.conv3, self.bn3 = block.conv3, block.bn3
            channels = self.conv3.out_channels
        self.attention = attention.build(channels, **settings)
        self.relu, self.downsample = block.relu, block.downsample

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(x)
        out = self.bn1(out)
        out = self.relu(out)
        out = self.conv2(out)
        out = self.bn2(out)
        out = self.attention(out)
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)  # type: ignore[no-any-return]


class AfterBn3(AfterBn2):
    """torchvision's bottleneck; its output passes through ``attention`` before the addition."""

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(x)
        out = self.bn1(out)
        out = self.relu(out)
        out = self.conv2(out)
        out = self.bn2(out)
        out = self.relu(out)
        out = self.conv3(out)
        out = self.bn3(out)
        out = self.attention(out)
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)  # type: ignore[no-any-return]


class ReplaceConv2(nn.Module):
    """torchvision's bottleneck with ``attention`` in place of conv2, bn2 and their ReLU."""

    def __init__(
        self, block: Bottleneck, attention: AttentionSpec, settings: dict[str, Any]
    ) -> None:
        super().__init__()
        self.authors_prefix = attention.authors_prefix
        self.conv1, self.bn1 = block.conv1, block.bn1
        self.attention = attention.build(
            block.conv2.in_channels, stride=block.conv2.stride[0], **settings
        )
        self.conv3, self.bn3 = block.conv3, block.bn3
        self.relu, self.downsample = block.relu, block.downsample

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(x)
        out = self.bn1(out)
        out = self.relu(out)
        out = self.attention(out)
        out = self.conv3(out)
        out = self.bn3(out)
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)  # type: ignore[no-any-return]


class AfterStage(AfterBn2):
    """torchvision's last block of a stage; its output, behind addition and ReLU, passes through."""

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(x)
        out = self.bn1(out)
        out = self.relu(out)
        out = self.conv2(out)
        out = self.bn2(out)
        if hasattr(self, "conv3"):  # a bottleneck
            out = self.relu(out)
            out = self.conv3(out)
            out = self.bn3(out)
        out += x if self.downsample is None else self.downsample(x)
        return self.attention(self.relu(out))  # type: ignore[no-any-return]


LAST_NORM: dict[type[BasicBlock | Bottleneck], str] = {BasicBlock: "bn2", Bottleneck: "bn3"}
"""What ends the residual branch of a block."""

SITES: dict[tuple[type[BasicBlock | Bottleneck], Site], Callable[..., nn.Module]] = {
    (BasicBlock, Site.AFTER_BN2): AfterBn2,
    (BasicBlock, Site.AFTER_BN3): AfterBn2,  # as there: behind the last norm
    (Bottleneck, Site.AFTER_BN3): AfterBn3,
    (Bottleneck, Site.REPLACE_CONV2): ReplaceConv2,
    (BasicBlock, Site.AFTER_STAGE): AfterStage,
    (Bottleneck, Site.AFTER_STAGE): AfterStage,
}


class BasicBlockCallingAttention(BasicBlock):  # type: ignore[misc]  # torchvision has no types
    """torchvision's basic block that calls the ``attention`` registered with it."""

    forward = AfterBn2.forward  # it reads the same attributes


class BottleneckCallingAttention(Bottleneck):  # type: ignore[misc]
    """torchvision's bottleneck that calls the ``attention`` registered with it."""

    forward = AfterBn3.forward


CALLING: dict[type[nn.Module], type[nn.Module]] = {
    BasicBlock: BasicBlockCallingAttention,
    Bottleneck: BottleneckCallingAttention,
}


TIMMS = {("timm.models.resnet", "BasicBlock"): "bn2", ("timm.models.resnet", "Bottleneck"): "bn3"}
"""The last norm of timm's blocks, by file and class: timm is imported where it is asked for."""

SLOT = "se"
"""What these call behind that norm, unless it is None."""


def let_call(block: nn.Module, part: nn.Module) -> bool:
    """Let a block call its ``attention`` itself behind its last norm, if that is ``part``.

    Return whether it does: torchvision's residual blocks do, and timm's where they have no module
    of their own. The block stays the same object, with its parameters and hooks.
    """
    kind: Any = type(block)
    norm = LAST_NORM.get(kind) or TIMMS.get((kind.__module__, kind.__name__))
    if norm is None or getattr(block, norm) is not part or "forward" in vars(block):
        return False
    if kind in CALLING:
        block.__class__ = CALLING[kind]
        return True
    if vars(block).get(SLOT, block) is None:
        vars(block)[SLOT] = block.attention  # not registered: its parameters have one name
        return True
    return False
