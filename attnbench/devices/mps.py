"""Apple's GPUs through Metal: events, but no peaks of memory, no graphs, no kernel that spins."""

from __future__ import annotations

import platform
from typing import Any

import torch

from attnbench.devices.clocks import EventClock
from attnbench.devices.energy.counter import none_known
from attnbench.devices.kind import Kind
from attnbench.records.schema import Environment

_mps: Any = torch.mps


class MpsClock(EventClock):
    """The clock of the device: its events. There is no device time apart from latency."""

    def __init__(self) -> None:
        super().__init__(
            lambda: _mps.event.Event(enable_timing=True), lambda: _mps.synchronize(), sleep=None
        )


def facts(_: int) -> Environment:
    """Return what does not change during a run; the GPU has no name of its own."""
    return {
        "gpu": f"GPU of {platform.processor() or platform.machine()}",
        "gpu_memory_bytes": _mps.recommended_max_memory(),
        "macos": platform.mac_ver()[0],
    }


KIND = Kind(
    name="mps",
    title="MPS",
    clock=MpsClock,
    count=lambda: int(torch.backends.mps.is_available()),
    select=lambda _: None,
    release=lambda: _mps.empty_cache(),
    synchronize=lambda: _mps.synchronize(),
    facts=facts,
    energy=none_known("MPS"),
    memory=None,
    copy_bytes=2**27,
    product_size=4096,
)
