"""What the suite needs to know of a kind of device: one row of the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from attnbench.devices.clocks import Clock
from attnbench.devices.energy.counter import Counter
from attnbench.records.schema import Environment


@dataclass(frozen=True, kw_only=True)
class MemoryCounters:
    """How the allocator of a device is read, in bytes since its peaks were reset."""

    reset_peaks: Callable[[], object]
    allocated: Callable[[], int]
    peak_allocated: Callable[[], int]
    reserved: Callable[[], int]
    peak_reserved: Callable[[], int]
    graph_pools: Callable[[], int] | None = None
    """Bytes in the segments of private pools, which captured steps keep."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of device, by the name that torch has for it. Calls are about the selected device."""

    name: str
    title: str
    """In messages: ``CUDA``."""
    clock: Callable[[], Clock]
    count: Callable[[], int]
    """How many there are and can be used; it raises nothing."""
    select: Callable[[int], object]
    """Make the one with that number the current device of this process."""
    release: Callable[[], object]
    """Give back memory that is cached and not used. It may raise where the device has failed."""
    synchronize: Callable[[], object]
    """Wait for all work that was issued. It raises what the work has failed of."""
    facts: Callable[[int], Environment]
    """The facts about the one with that number that do not change during a run."""
    energy: Callable[[Environment], Counter]
    """Open the counter of energy of the device that the facts are of; it raises NoCounterError,
    which says what to do, where there is none or it may not be read."""
    memory: MemoryCounters | None
    """None where there are no peaks."""
    copy_bytes: int
    """Bytes of the source of a large copy, and of its target: more than most caches hold."""
    product_size: int
    """Rows and columns of both matrices of a large product."""
    graphs: bool = False
    """Whether a step can be captured and replayed."""
    has_run: bool = False
    """Whether the suite has ever run on one; documents say so where it has not."""
