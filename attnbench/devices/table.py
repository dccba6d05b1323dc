"""The table of devices, by the names that torch has for them."""

from __future__ import annotations

from attnbench.devices import cpu, cuda
from attnbench.devices.clocks import Clock
from attnbench.devices.kind import Kind

KINDS = {kind.name: kind for kind in (cpu.KIND, cuda.KIND)}


def kind_of(device: str) -> Kind:
    """Return the row of a device: that of ``cuda`` for ``cuda:1``."""
    return KINDS[device.partition(":")[0]]


def clock_for(device: str) -> Clock:
    """Return the clock for work on a device."""
    return kind_of(device).clock()
