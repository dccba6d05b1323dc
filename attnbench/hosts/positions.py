"""The positions of any host, found once a process."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import torch
from torch import nn

from attnbench.hosts.networks import plain
from attnbench.hosts.placement.choice import Choice, Size
from attnbench.hosts.placement.insert import insert
from attnbench.hosts.placement.position import Position
from attnbench.hosts.placement.sites import chosen, require_called_once
from attnbench.hosts.placement.survey import ForwardError, Survey, survey
from attnbench.hosts.resnets import HOSTS, base_of
from attnbench.modules import SettingsError
from attnbench.plugins.host_reference import parse_host

Key = tuple[str, Size, Path, str | None, object]
"""A host, the size of its images, and what its network could change with."""


def surveyed(host: str, size: Size) -> Survey:
    """Return what is known of a host's modules, from forwards on images of that size.

    Raises:
        SettingsError: the host is unknown, cannot be built, or fails on such images.
    """
    return _surveyed(_key(host, size))


def positions(host: str, choice: Choice, size: Size) -> tuple[Position, ...]:
    """Return where a choice puts the module in a host, in the order in which the positions run.

    Raises:
        SettingsError: as :func:`surveyed`, or there is no such position; the message says why.
    """
    return _positions(_key(host, size), replace(choice, stages=tuple(sorted(set(choice.stages)))))


def _key(host: str, size: Size) -> Key:
    reference = parse_host(host)
    return reference.name, size, Path.cwd(), reference.origin, HOSTS.get(base_of(reference.name))


@lru_cache(maxsize=16)
def _surveyed(key: Key) -> Survey:
    host, size, _, origin, _ = key
    # A forward of foreign code may need data.
    with torch.random.fork_rng(devices=()), torch.device("cpu" if origin else "meta"):
        network = plain(host)
    try:
        with torch.device("cpu"):  # whatever device the caller builds on
            return survey(network, size)
    except ForwardError as error:
        height, width = size
        raise SettingsError(f"{host} fails on images of {height}x{width}: {error}") from error


@lru_cache(maxsize=16)
def _positions(key: Key, choice: Choice) -> tuple[Position, ...]:
    host, _, _, origin, _ = key
    known = _surveyed(key)
    where = chosen(host, known, choice)
    with torch.random.fork_rng(devices=()), torch.device("cpu" if origin else "meta"):
        network = plain(host)
    with torch.device("cpu"):
        require_called_once(network, known, where, host)
    return where


def sides_in_block(host: str, block: str, part: str, size: Size) -> Size:
    """Return height and width of the map that a part of a ResNet's block returns.

    Raises:
        SettingsError: as :func:`surveyed`.
    """
    known = surveyed(host, size)
    path = f"{block}.{part}"
    where = known.position(next(p for p in known.kinds if f".{p}".endswith(f".{path}")))
    return where.height, where.width


def last_path(host: str, choice: Choice, size: Size, stage: int) -> str:
    """Return the path of the attention module at the last position of a stage."""
    where = positions(host, choice, size)
    with torch.random.fork_rng(devices=()), torch.device("meta"):
        paths = insert(plain(host), where, lambda _: nn.Identity())
    of_stage = [path for path, place in zip(paths, where, strict=True) if place.stage == stage]
    return of_stage[-1]
