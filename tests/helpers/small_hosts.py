"""Hosts in a file, as a user would bring them: one small network of each family, and bad ones."""

import os
from functools import partial

import timm
import torch
from timm.models.resnet import Bottleneck as TimmBottleneck
from timm.models.resnet import ResNet as TimmResNet
from torch import nn
from torch.utils._python_dispatch import _len_torch_dispatch_stack
from torchvision.models.convnext import CNBlockConfig, ConvNeXt
from torchvision.models.efficientnet import EfficientNet, MBConvConfig
from torchvision.models.mobilenetv2 import MobileNetV2
from torchvision.models.mobilenetv3 import InvertedResidualConfig, MobileNetV3
from torchvision.models.regnet import BlockParams, RegNet
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet
from torchvision.models.shufflenetv2 import ShuffleNetV2
from torchvision.models.swin_transformer import SwinTransformer


def mobilenet_v2():
    return MobileNetV2(num_classes=5, inverted_residual_setting=[[1, 16, 1, 1], [6, 24, 3, 2]])


def mobilenet_v3():
    config = partial(InvertedResidualConfig, width_mult=1.0)
    settings = [
        config(16, 3, 16, 16, True, "RE", 2, 1),
        config(16, 3, 32, 16, True, "HS", 1, 1),
    ]
    return MobileNetV3(settings, last_channel=32, num_classes=5)


def efficientnet():
    config = partial(MBConvConfig, width_mult=1.0, depth_mult=1.0)
    settings = [config(1, 3, 1, 16, 16, 2), config(4, 3, 2, 16, 32, 2)]
    return EfficientNet(settings, dropout=0.1, stochastic_depth_prob=0.2, num_classes=5)


def convnext():
    return ConvNeXt([CNBlockConfig(16, 32, 2), CNBlockConfig(32, None, 1)], num_classes=5)


def regnet():
    with torch.device("cpu"):
        params = BlockParams.from_init_params(
            depth=4, w_0=16, w_a=8.0, w_m=2.0, group_width=8, se_ratio=0.25
        )
    return RegNet(params, num_classes=5)


def resnet():
    return ResNet(BasicBlock, [1, 1, 1, 1], num_classes=5)


def bottlenecks():
    return ResNet(Bottleneck, [1, 1, 1, 1], num_classes=5)


def swin():
    return SwinTransformer([4, 4], 16, [1, 1], [2, 2], [4, 4], num_classes=5)


def shufflenet():
    return ShuffleNetV2([1, 1, 1], [8, 16, 32, 64, 64], num_classes=5)


def repvgg():
    return timm.create_model("repvgg_a0", pretrained=False, num_classes=5)


def timm_resnet(attn_layer=None, first=64):
    """Return timm's bottlenecks, by default without its own attention; four blocks."""
    return TimmResNet(
        TimmBottleneck,
        (1, 1, 1, 1),
        num_classes=5,
        channels=(first, 64, 64, 64),
        block_args={"attn_layer": attn_layer},
    )


def narrow_timm_resnet():
    return timm_resnet(first=16)


class Residual(nn.Module):
    """A stem and one residual block, whose code calls ``attention`` itself if there is one."""

    def __init__(self, attention=None):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 1, 1, bias=False)
        self.conv, self.bn = nn.Conv2d(8, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8)
        self.written = attention

    def forward(self, x):
        x = self.stem(x)
        out = self.conv(x)
        out = self.bn(out)
        if self.written is not None:
            out = self.written(out)
        return out + x


class Pyramid(nn.Module):
    """Two levels: the coarser one, resized, is added to the finer one. Returns a dictionary."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.fine, self.down, self.coarse = (nn.Conv2d(8, 8, 3, s, 1) for s in (1, 2, 1))
        self.act = nn.ReLU()  # one for all

    def forward(self, images):
        x = self.act(self.stem(images))
        x = x + self.fine(x)
        low = self.coarse(self.act(self.down(x)))
        return {"low": low, "high": x + nn.functional.interpolate(low, size=x.shape[-2:])}


class Children(nn.Module):
    """Calls all that it holds, one after the other."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)

    def forward(self, x):
        for child in self.children():
            x = child(x)
        return x


class DataDependent(nn.Module):
    """Its work depends on the values in a tensor."""

    def __init__(self):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 8, 3, 1, 1), nn.BatchNorm2d(8)
        self.register_buffer("steps", torch.tensor(2))

    def forward(self, x):
        x = self.conv(x)
        for _ in range(int(self.steps)):
            x = self.bn(x) if x.sum() > 1e9 else x + 1
        return x.mean((2, 3))


class Unwatched(nn.Module):
    """Fails while its operators are watched, with data too, as some extensions do."""

    def __init__(self):
        super().__init__()
        self.stem, self.conv = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 1, 1)

    def forward(self, x):
        x = self.stem(x)
        if _len_torch_dispatch_stack():
            raise RuntimeError("no kernel")
        return x + self.conv(x)


class Unstable(nn.Module):
    """Fails on images of any size."""

    def forward(self, _):
        raise RuntimeError("two lines\nof text")


def ends():
    os._exit(3)


def raises():
    raise ValueError("no such file")


def nothing():
    return None


def needs(width):
    return nn.Conv2d(3, width, 1)


def lazy():
    return nn.LazyConv2d(8, 3)


def scripted():
    return torch.jit.script(nn.Sequential(nn.Conv2d(3, 8, 1)))


def unseeded():
    network = nn.Sequential(nn.Conv2d(3, 8, 3))
    nn.init.constant_(network[0].weight, next(COUNTER))
    return network


COUNTER = iter(range(100))
