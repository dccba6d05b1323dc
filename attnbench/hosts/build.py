"""Build torchvision's networks with an attention module at its site in their blocks."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from attnbench import host_names
from attnbench.hosts.blocks import SITES
from attnbench.hosts.detection import DETECTORS, body, freeze
from attnbench.modules import AttentionSpec, SettingsError, Site
from attnbench.plugins.resolve import parse
from attnbench.records.variants import STAGES
from attnbench.text import unknown


@dataclass(frozen=True)
class Host:
    """Parameters of torchvision's ResNet: blocks a stage, their class, width of their 3x3."""

    layers: tuple[int, int, int, int]
    groups: int = 1
    width_per_group: int = 64
    block: type[BasicBlock | Bottleneck] = Bottleneck


HOSTS = {
    # He et al., arXiv 1512.03385, table 1.
    "resnet18": Host((2, 2, 2, 2), block=BasicBlock),
    "resnet34": Host((3, 4, 6, 3), block=BasicBlock),
    "resnet50": Host((3, 4, 6, 3)),
    "resnet101": Host((3, 4, 23, 3)),
    "resnet152": Host((3, 8, 36, 3)),
    # Xie et al., arXiv 1611.05431; the wider ones are torchvision's.
    "resnext50_32x4d": Host((3, 4, 6, 3), groups=32, width_per_group=4),
    "resnext101_32x8d": Host((3, 4, 23, 3), groups=32, width_per_group=8),
    "resnext101_64x4d": Host((3, 4, 23, 3), groups=64, width_per_group=4),
    # Zagoruyko and Komodakis, arXiv 1605.07146: the 3x3 twice as wide.
    "wide_resnet50_2": Host((3, 4, 6, 3), width_per_group=128),
    "wide_resnet101_2": Host((3, 4, 23, 3), width_per_group=128),
    # The ResNeXt base of the original SKNets (Li et al., arXiv 1903.06586, table 1).
    "sknet50": Host((3, 4, 6, 3), groups=32, width_per_group=4),
    "sknet101": Host((3, 4, 23, 3), groups=32, width_per_group=4),
}

Blocks = Literal["all", "last"]
"""Which blocks of a stage carry the module."""

CLASSES = 1000
"""Of ImageNet, for which every published network here was trained."""

TOTAL_STRIDE, default_size = host_names.TOTAL_STRIDE, host_names.default_size


def build(
    host: str,
    attention: str | AttentionSpec | None = None,
    *,
    stages: Collection[int] = STAGES,
    blocks: Blocks = "all",
    classes: int = CLASSES,
    **settings: Any,
) -> nn.Module:
    """Build a host network in float32 and training mode, for images (B, 3, H, W).

    A host of :data:`HOSTS` returns logits (B, classes), one of ``DETECTORS`` feature maps or the
    outputs of its heads. The host's parameters keep torchvision's names and, under one seed,
    torchvision's initial values, with any module; without ``attention`` the network is
    torchvision's. ``stages`` and ``blocks`` (of each stage) select where the module is placed.
    ``settings`` are passed to every module and override the published ones.

    Raises:
        SettingsError: unknown host, module, stage or choice of blocks, a width that the module
            does not divide, or a host without the module's site.
    """
    host = host_names.written(host)
    if host not in HOSTS | DETECTORS:
        raise SettingsError(unknown("host", host, [*HOSTS, *DETECTORS]))
    if not set(stages) <= set(STAGES):
        raise SettingsError(f"unknown stages {sorted(set(stages) - set(STAGES))}; known: 1 to 4")
    if blocks not in get_args(Blocks):
        raise SettingsError(f"unknown blocks '{blocks}'; known: {', '.join(get_args(Blocks))}")
    detector = DETECTORS.get(host)
    base = detector.backbone if detector else host
    network: nn.Module = ResNet(**vars(HOSTS[base]), num_classes=classes)
    if detector:
        network = detector.make(network)
    if attention is not None:  # last: the host draws its initial values as without a module
        row = parse(attention).load() if isinstance(attention, str) else attention
        wrap = _wrapper(base, row)
        for number in sorted(set(stages)):
            stage = body(network).get_submodule(f"layer{number}")
            of_stage = row.settings(base, number) | settings
            children = list(stage.named_children())
            for name, block in children if blocks == "all" else children[-1:]:
                stage.register_module(name, wrap(block, row, of_stage))
    elif settings:
        raise SettingsError(f"settings without a module: {', '.join(settings)}")
    if detector and detector.frozen:
        freeze(network)
    return network


def _wrapper(host: str, attention: AttentionSpec) -> Callable[..., nn.Module]:
    """Return the class of block that has the module's site in this host."""
    base = HOSTS[host]
    if (base.block, attention.site) not in SITES:
        known = ", ".join(site for block, site in SITES if block is base.block)
        others = [
            name
            for name, other in HOSTS.items()
            if (other.block, attention.site) in SITES and not _undefined_in_groups(name, attention)
        ]
        raise SettingsError(
            f"{attention.name}: the blocks of {host} have no site {attention.site}; "
            f"known: {known}; hosts that have it: {', '.join(others)}"
        )
    if _undefined_in_groups(host, attention):
        grouped = [name for name in attention.published if HOSTS[name].groups > 1]
        raise SettingsError(
            f"{attention.name} is not defined for the grouped 3x3 convolutions of {host}; "
            f"supported hosts with groups: {', '.join(grouped)}"
        )
    return SITES[base.block, attention.site]


def _undefined_in_groups(host: str, attention: AttentionSpec) -> bool:
    """Return whether it replaces grouped convolutions, for which other hosts alone define it."""
    in_groups = HOSTS[host].groups > 1 and attention.site is Site.REPLACE_CONV2
    return in_groups and bool(attention.published) and host not in attention.published


def resnet(
    depth: int,
    attention: str | AttentionSpec | None = None,
    *,
    stages: Collection[int] = STAGES,
    blocks: Blocks = "all",
    **settings: Any,
) -> ResNet:
    """Call :func:`build` by depth: ``resnet(50, attention="sa")``."""
    network = build(f"resnet{depth}", attention, stages=stages, blocks=blocks, **settings)
    assert isinstance(network, ResNet)
    return network
