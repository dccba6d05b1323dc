"""What the suite needs to know of a kind of device: one row of the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from attnbench.devices.clocks import Clock


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of device, by the name that torch has for it."""

    name: str
    clock: Callable[[], Clock]
    release: Callable[[], None]
    """Give back memory that is cached and not used. It may raise where the device has failed."""
    synchronize: Callable[[], None]
    """Wait for all work that was issued. It raises what the work has failed of."""
