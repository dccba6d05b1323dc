"""Intel's GPUs. torch has events and an allocator with peaks for them, and no kernel that spins."""

from __future__ import annotations

from typing import Any

import torch

from attnbench.devices.clocks import EventClock
from attnbench.devices.energy.counter import none_known
from attnbench.devices.kind import Kind, MemoryCounters
from attnbench.records.schema import Environment

_xpu: Any = torch.xpu


class XpuClock(EventClock):
    """The clock of the current device: its events. There is no device time apart from latency."""

    def __init__(self) -> None:
        super().__init__(
            lambda: _xpu.Event(enable_timing=True), lambda: _xpu.synchronize(), sleep=None
        )


def facts(number: int) -> Environment:
    """Return what does not change during a run."""
    properties: Any = _xpu.get_device_properties(number)
    return {
        "gpu": properties.name,
        "gpu_uuid": str(getattr(properties, "uuid", "")) or None,
        "gpu_memory_bytes": properties.total_memory,
        "gpu_driver": getattr(properties, "driver_version", None),
    }


KIND = Kind(
    name="xpu",
    title="XPU",
    clock=XpuClock,
    count=lambda: _xpu.device_count() if _xpu.is_available() else 0,
    select=lambda number: _xpu.set_device(number),
    release=lambda: _xpu.empty_cache(),
    synchronize=lambda: _xpu.synchronize(),
    facts=facts,
    energy=none_known("XPU"),
    memory=MemoryCounters(
        reset_peaks=lambda: _xpu.reset_peak_memory_stats(),
        allocated=lambda: _xpu.memory_allocated(),
        peak_allocated=lambda: _xpu.max_memory_allocated(),
        reserved=lambda: _xpu.memory_reserved(),
        peak_reserved=lambda: _xpu.max_memory_reserved(),
    ),
    copy_bytes=2**28,
    product_size=8192,
)
