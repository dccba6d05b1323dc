"""What timm's factory of attention layers makes, with timm's own settings.

They are timm's modules, not always the papers': some round widths, or leave a bias out.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from inspect import Parameter, signature
from typing import Any

from attnbench.modules import AttentionSpec, SettingsError, Site

PREFIX = "timm:"

AFTER = (
    *("se", "ese", "eca", "ecam", "ceca", "ge", "gc", "gca", "cbam", "lcbam"),
    *("coord", "scoord", "ela", "strip", "nl", "bat"),
)
"""Layers that timm adds to a block."""

CONVOLUTIONS = ("sk", "splat")
"""Layers that stand for a convolution, its batch norm and activation."""

SELF_ATTENTION = ("lambda", "bottleneck", "halo")
"""Layers that stand for a convolution alone: its batch norm and activation follow."""

NOT_ONES_OWN = ("stride", "device", "dtype")
"""Settings of layers that the host gives, or that a run has options for."""

NAMES = (*AFTER, *CONVOLUTIONS, *SELF_ATTENTION)
"""Every name that the factory of timm 1.0.31 knows; what a newer one knows goes behind bn3."""


def row(source: str) -> AttentionSpec:
    """The layer that ``timm:NAME`` names.

    Raises:
        SettingsError: timm is not installed, or makes no layer of that name.
    """
    name = source.removeprefix(PREFIX)
    layer = _layer(name)
    replaces = name in (*CONVOLUTIONS, *SELF_ATTENTION)
    return AttentionSpec(
        name=source,
        title=f"timm's {name}",
        arxiv="",
        site=Site.REPLACE_CONV2 if replaces else Site.AFTER_BN3,
        build=partial(_normalised, layer) if name in SELF_ATTENTION else layer,
    )


def origin() -> str:
    """``timm 1.0.31``: the version that is installed."""
    try:
        return f"timm {version('timm')}"
    except PackageNotFoundError:
        raise SettingsError("timm is not installed: pip install 'attnbench[timm]'") from None


def hint(source: str) -> str:
    """The settings of timm's layer, for where its defaults do not do."""
    known = [
        name
        for name, parameter in list(
            signature(_layer(source.removeprefix(PREFIX))).parameters.items()
        )[1:]
        if parameter.kind is not Parameter.VAR_KEYWORD and name not in NOT_ONES_OWN
    ]
    return f"timm's own settings may help ({source},NAME=VALUE): {', '.join(known)}"


def _layer(name: str) -> Any:
    installed = origin()
    from timm.layers.create_attn import get_attn

    try:
        layer = get_attn(name)
    except AssertionError:
        layer = None
    if layer is None:
        known = ", ".join(NAMES)
        raise SettingsError(f"the factory of {installed} makes no '{name}'; known: {known}")
    return layer


def _normalised(layer: Any, channels: int, **settings: Any) -> Any:
    """The layer, then the batch norm and ReLU of the convolution that it stands for."""
    from torch import nn

    parts = {"layer": layer(channels, **settings), "bn": nn.BatchNorm2d(channels)}
    return nn.Sequential(OrderedDict(parts, relu=nn.ReLU(inplace=True)))
