"""The CPU: work is done when its call returns, and nothing is cached or lost."""

from __future__ import annotations

from attnbench.devices.clocks import CpuClock
from attnbench.devices.energy import rapl
from attnbench.devices.kind import Kind


def _nothing(*_: object) -> None: ...


KIND = Kind(
    name="cpu",
    title="CPU",
    clock=CpuClock,
    count=lambda: 1,
    select=_nothing,
    release=_nothing,
    synchronize=_nothing,
    facts=lambda _: {},
    energy=lambda _: rapl.open_counter(),
    memory=None,  # the process's resident size is read instead
    copy_bytes=2**26,
    product_size=2048,
    has_run=True,
)
