"""What the suite knows of an attention module before it builds one. No torch is imported here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import import_module
from math import gcd
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


class SettingsError(ValueError):
    """A module cannot be built with these settings; the message says which would work."""


class Site(StrEnum):
    """Where a module is placed in a block."""

    AFTER_BN3 = "after_bn3"
    """On the block's output before the residual addition. Built with ``channels``.

    A basic block ends in its second norm, so there it is the same as ``after_bn2``.
    """

    AFTER_BN2 = "after_bn2"
    """The same site, under its name in a basic block; a bottleneck has no such site."""

    REPLACE_CONV2 = "replace_conv2"
    """Replaces conv2, bn2 and their ReLU. Built with ``channels`` and ``stride``."""

    AFTER_STAGE = "after_stage"
    """On the output of each stage's last block, behind its addition and ReLU: once a stage."""


@dataclass(frozen=True)
class AttentionSpec:
    """Everything the suite knows of one module: one row of the table.

    ``build(channels, **settings)`` returns the ``nn.Module``; every setting has the paper's
    value as its default.
    """

    name: str
    title: str
    arxiv: str
    site: Site
    build: Callable[..., nn.Module]
    authors: tuple[str, ...] = ()
    """Of the paper, each as ``Given Family``, in its order; empty for a custom module."""
    label: str = ""
    """The name in tables and plots; where it is empty, ``name``."""
    colour: str = ""
    marker: str = ""
    """matplotlib's marker. Without colour and marker the plots choose both."""
    authors_prefix: str = "attention."
    """What precedes the module's parameter names in a block of the authors' networks."""
    published: Mapping[str, Mapping[str, tuple[Any, ...]]] = field(default_factory=dict)
    """Settings of published networks that are not the defaults: host, setting, value by stage."""
    added_params: Mapping[str, int] = field(default_factory=dict)
    """Learnable parameters that the module adds to a host, listed without torch and tested."""
    place: tuple[str, ...] = ()
    """What ``build`` takes of the map at its site beside the channels: ``height``, ``width``."""

    def of_place(self, height: int, width: int) -> dict[str, int]:
        """Return what ``build`` takes of a map of these sides, by keyword."""
        sides = {"height": height, "width": width}
        return {name: sides[name] for name in self.place}

    def settings(self, host: str, stage: int) -> dict[str, Any]:
        """Return the published settings for stage 1 to 4 of a host; empty for the defaults."""
        return {key: values[stage - 1] for key, values in self.published.get(host, {}).items()}


def in_file(file: str, class_name: str) -> Callable[..., nn.Module]:
    """Return a builder of a class in a sibling file, which is imported on first use."""

    def build(channels: int, **settings: Any) -> nn.Module:
        module = import_module(f".{file}", __package__)
        return getattr(module, class_name)(channels, **settings)  # type: ignore[no-any-return]

    return build


def divide(channels: int, by: int, what: str, each: int = 1) -> int:
    """Return ``channels / (by * each)``, which must be a whole number: nothing is rounded.

    Raises:
        SettingsError: a number is not positive, or does not divide; the message says which widths
            would work, and what would in place of ``by``.
    """
    if channels < 1 or by < 1:
        raise SettingsError(f"{what}: {channels} channels by {by}: both must be positive")
    whole = by * each
    if channels % whole:
        below = channels - channels % whole
        widths = f"{below} or {below + whole}" if below else f"{whole}"
        fitting = gcd(channels // each, by) if channels % each == 0 else 0
        instead = f", and {fitting} in the place of {by} fits these" if fitting else ""
        raise SettingsError(
            f"{what}: {channels} channels do not divide by {whole}; {widths} would{instead}"
        )
    return channels // whole
