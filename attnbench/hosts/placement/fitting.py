"""Whether a module fits the widths of a host's positions; nothing is rounded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Any

import torch
from torch import nn

from attnbench.hosts.placement.choice import EVERYWHERE, Choice
from attnbench.hosts.placement.position import Position
from attnbench.modules import AttentionSpec, SettingsError, Site


def modules(
    attention: AttentionSpec,
    positions: Sequence[Position],
    host: str,
    settings: Mapping[str, Any],
    choice: Choice = EVERYWHERE,
) -> list[nn.Module]:
    """Build the module for every position, in order.

    Raises:
        SettingsError: it does not fit some of them; the message says at how many of them it fits,
            and which setting would fit all.
    """
    require_site(attention, host, choice, positions)
    made, refused = [], {}
    for where in positions:
        try:
            of_map = attention.of_place(where.height, where.width)
            made.append(attention.build(where.channels, **{**of_map, **settings}))
        except SettingsError as error:
            refused[where] = str(error)
    if refused:
        raise SettingsError(_unfit(attention, positions, host, settings, refused))
    return made


def require_site(
    attention: AttentionSpec,
    host: str,
    choice: Choice = EVERYWHERE,
    positions: Sequence[Position] = (),
) -> None:
    """Refuse a module that replaces the 3x3 convolution of ResNet's bottlenecks.

    And one that stands after stages, where no patterns say what these are: other networks change
    resolution within blocks, so that their last residual blocks are named, and not taken.

    Raises:
        SettingsError: it is one.
    """
    if attention.site is Site.AFTER_STAGE and not choice.at:
        last = {where.stage: where.block for where in positions if where.block}
        blocks = ",".join(path for _, path in sorted(last.items()))
        found = f"; the last residual block of each is --at '{blocks}'" if blocks else ""
        raise SettingsError(
            f"{attention.name} stands once behind each stage of a ResNet (site {attention.site}): "
            f"name the ends of the stages of {host} with --at{found}; 'attnbench places --host "
            f"{host}' lists what is there"
        )
    if attention.site is Site.REPLACE_CONV2:
        raise SettingsError(
            f"{attention.name} replaces conv2 of a ResNet's bottlenecks (site {attention.site}): "
            f"{host} has no such site, nor do --at and --replace name one"
        )


def _unfit(
    attention: AttentionSpec,
    positions: Sequence[Position],
    host: str,
    settings: Mapping[str, Any],
    refused: Mapping[Position, str],
) -> str:
    fitting, every = len(positions) - len(refused), len(positions)
    (first, why), *_ = refused.items()
    widths = sorted({where.channels for where in positions})
    would = _would_fit(attention, widths, settings)
    instead = f"'{attention.name},{would}' fits all {every}" if would else "no setting fits all"
    some = sorted({where.channels for where in positions if where not in refused})
    at = f"; --at can name the sites of {', '.join(map(str, some))} channels" if some else ""
    return (
        f"{attention.name} fits at {fitting} of the {every} sites of {host} (at {first.site}: "
        f"{why.partition(';')[0].rpartition(': ')[2]}); {instead}{at}"
    )


def _would_fit(
    attention: AttentionSpec, widths: Sequence[int], settings: Mapping[str, Any]
) -> str | None:
    """Return a setting with which the module fits all widths: the nearest to its own value."""
    with torch.device("meta"):
        for name, value in _whole_numbers(attention).items():
            if name in settings:
                continue
            for smaller in range(value - 1, 0, -1):
                if value % smaller == 0 and _fits(attention, widths, {**settings, name: smaller}):
                    return f"{name}={smaller}"
    return None


def _fits(attention: AttentionSpec, widths: Sequence[int], settings: Mapping[str, Any]) -> bool:
    try:
        for width in widths:
            attention.build(width, **settings)
    except (SettingsError, TypeError):
        return False
    return True


WIDE = 2**12
"""Channels that any power of two divides, for a first look at a module's settings."""


def _whole_numbers(attention: AttentionSpec) -> dict[str, int]:
    """Return the settings that are whole numbers, with their defaults."""
    try:
        parameters = signature(type(attention.build(WIDE))).parameters.values()
    except Exception:  # of a custom module
        return {}
    return {
        parameter.name: parameter.default
        for parameter in parameters
        if type(parameter.default) is int and parameter.default > 1
    }
