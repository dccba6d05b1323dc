"""Names of devices as torch has them: a kind, and of several its number: ``cuda:1``."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from attnbench.text import unknown

KINDS = ("cpu", "cuda", "xpu", "mps")
"""What a run can be measured on; the first is there always."""

NUMBERED = ("cuda", "xpu")
"""Kinds of which there may be several in a machine."""

MOST_DEVICES = 1024


def kind_of(device: str) -> str:
    """Return the kind of a device: ``cuda`` of ``cuda:1``."""
    return device.partition(":")[0]


def number_of(device: str) -> int:
    """Return the number of a device, 0 where it has none: among those that are visible."""
    return int(device.partition(":")[2] or 0)


def written(device: str) -> str:
    """Return the name as records have it: ``CUDA:0`` is ``cuda``.

    Raises:
        ValueError: there is no such kind, or no such number of it.
    """
    kind, colon, number = device.strip().lower().partition(":")
    if kind not in KINDS:
        raise ValueError(unknown("device", device, KINDS, ", and cuda:1 for the second of several"))
    if not colon:
        return kind
    if kind not in NUMBERED:
        raise ValueError(f"unknown device '{device}': there is one {kind}, without a number")
    if not re.fullmatch(r"[0-9]{1,4}", number) or int(number) >= MOST_DEVICES:
        raise ValueError(f"unknown device '{device}': after {kind}: stands a number such as 0 or 1")
    return f"{kind}:{int(number)}" if int(number) else kind


def in_a_path(device: str) -> str:
    """Return a device's name as part of a folder's: ``cuda1`` of ``cuda:1``."""
    return device.replace(":", "")


def _as_written(device: str) -> str:
    if written(device) != device:
        raise ValueError(f"device is written {written(device)}, not {device}")
    return device


Device = Annotated[str, AfterValidator(_as_written)]
"""A device in records: ``cpu``, ``cuda``, ``cuda:1``, ``xpu``, ``mps``."""
