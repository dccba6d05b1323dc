"""The CPU: work is done when its call returns, and nothing is cached or lost."""

from __future__ import annotations

from attnbench.devices.clocks import CpuClock
from attnbench.devices.kind import Kind


def _nothing() -> None: ...


KIND = Kind(name="cpu", clock=CpuClock, release=_nothing, synchronize=_nothing)
