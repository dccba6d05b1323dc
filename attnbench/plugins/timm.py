"""The layers of timm's attention factory, with timm's own settings.

They are timm's modules, not always the papers': some round widths or omit a bias.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
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
"""Layers that replace a convolution, its batch norm and activation."""

SELF_ATTENTION = ("lambda", "bottleneck", "halo")
"""Layers that replace a convolution alone: batch norm and activation are added."""

SET_BY_RUN = ("stride", "device", "dtype")
"""Settings of layers that the host sets, or the options of a run."""

NAMES = (*AFTER, *CONVOLUTIONS, *SELF_ATTENTION)
"""Every name in the factory of timm 1.0.31; names of newer ones are placed after bn3."""


def row(source: str) -> AttentionSpec:
    """Return the row of the layer ``timm:NAME``.

    Raises:
        SettingsError: timm is not installed, or has no layer of that name.
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
    """Return the installed version: ``timm 1.0.31``."""
    try:
        return f"timm {version('timm')}"
    except PackageNotFoundError:
        raise SettingsError("timm is not installed: pip install -e '.[timm]'") from None


def hint(source: str) -> str:
    """Return a sentence that lists the settings of timm's layer."""
    _, *settings = (
        parameter.name
        for parameter in signature(_layer(source.removeprefix(PREFIX))).parameters.values()
        if parameter.kind is not Parameter.VAR_KEYWORD and parameter.name not in SET_BY_RUN
    )
    return f"timm's own settings may help ({source},NAME=VALUE): {', '.join(settings)}"


def _layer(name: str) -> Any:
    installed = origin()
    from timm.layers.create_attn import get_attn

    with suppress(AssertionError):
        layer = get_attn(name)
        if layer is not None:
            return layer
    known = ", ".join(NAMES)
    raise SettingsError(f"the factory of {installed} has no layer '{name}'; known: {known}")


def _normalised(layer: Any, channels: int, **settings: Any) -> Any:
    """Build the layer, then the batch norm and ReLU of the convolution that it replaces."""
    from torch import nn

    parts = {"layer": layer(channels, **settings), "bn": nn.BatchNorm2d(channels)}
    return nn.Sequential(OrderedDict(parts, relu=nn.ReLU(inplace=True)))
