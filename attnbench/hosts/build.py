"""Build torchvision's networks with an attention module at its site in their blocks."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from torch import nn
from torchvision.models.resnet import ResNet

from attnbench import host_names
from attnbench.hosts.detection import DETECTORS, body, freeze
from attnbench.hosts.networks import default_size, plain
from attnbench.hosts.placement import fitting
from attnbench.hosts.placement.blocks import LAST_NORM, SITES
from attnbench.hosts.placement.choice import Choice, Size
from attnbench.hosts.placement.insert import insert
from attnbench.hosts.positions import positions, sides_in_block
from attnbench.hosts.resnets import CLASSES, HOSTS, Host, base_of, is_resnet
from attnbench.modules import AttentionSpec, SettingsError, Site
from attnbench.plugins.host_reference import parse_host
from attnbench.plugins.resolve import parse
from attnbench.records.variants import BLOCKS, STAGES, Blocks

__all__ = ["CLASSES", "HOSTS", "TOTAL_STRIDE", "Host", "build", "default_size", "resnet"]


TOTAL_STRIDE = host_names.TOTAL_STRIDE


def build(  # noqa: PLR0913  each says where the module is placed
    host: str,
    attention: str | AttentionSpec | None = None,
    *,
    stages: Collection[int] = STAGES,
    blocks: Blocks = "all",
    at: str = "",
    replace: str = "",
    size: Size | None = None,
    classes: int | None = None,
    **settings: Any,
) -> nn.Module:
    """Build a host network in float32 and training mode, for images (B, 3, H, W).

    ``host`` is a name or specification as of ``--host``. A ResNet returns logits (B, classes), a
    detector feature maps or the outputs of its heads, any other network what its authors let it
    return. The host's parameters keep the names of their source and, under one seed, its initial
    values, with any module; without ``attention`` the network is the source's. ``stages``,
    ``blocks`` (of each stage), ``at`` and ``replace`` select where the module is placed, as the
    options of ``run`` do; ``size`` are height and width of the images by which the positions in
    other networks are found. ``settings`` are passed to every module and override the published
    ones.

    Raises:
        SettingsError: unknown host, module, stage or choice of blocks, a width that the module
            does not divide, or a host without the module's site.
    """
    host = parse_host(host).name
    if not set(stages) <= set(STAGES):
        raise SettingsError(f"unknown stages {sorted(set(stages) - set(STAGES))}; known: 1 to 4")
    if blocks not in BLOCKS:
        raise SettingsError(f"unknown blocks '{blocks}'; known: {', '.join(BLOCKS)}")
    network = plain(host, classes)
    if attention is not None:  # last: the host draws its initial values as without a module
        row = parse(attention).load() if isinstance(attention, str) else attention
        choice = Choice(stages, blocks, at, replace)
        if is_resnet(host) and not (at or replace):
            _put_into_blocks(network, host, row, choice, settings, size)
        else:
            where = positions(host, choice, size or default_size(host))
            modules = iter(fitting.modules(row, where, host, settings, choice))
            insert(network, where, lambda _: next(modules))
    elif settings:
        raise SettingsError(f"settings without a module: {', '.join(settings)}")
    if host in DETECTORS and DETECTORS[host].frozen:
        freeze(network)
    return network


def _put_into_blocks(  # noqa: PLR0913, PLR0917  what build was asked for
    network: nn.Module,
    host: str,
    row: AttentionSpec,
    choice: Choice,
    settings: dict[str, Any],
    size: Size | None,
) -> None:
    base = base_of(host)
    wrap = _wrapper(base, row)
    last_alone = choice.blocks == "last" or row.site is Site.AFTER_STAGE
    part = "bn1" if row.site is Site.REPLACE_CONV2 else LAST_NORM[HOSTS[base].block]
    for number in sorted(set(choice.stages)):
        stage = body(network).get_submodule(f"layer{number}")
        of_stage = row.settings(base, number) | settings
        children = list(stage.named_children())
        for name, block in children[-1:] if last_alone else children:
            of_map = {}
            if row.place:
                where = f"layer{number}.{name}", part, size or default_size(host)
                of_map = row.of_place(*sides_in_block(host, *where))
            stage.register_module(name, wrap(block, row, of_map | of_stage))


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
