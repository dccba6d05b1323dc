"""Clocks: marks in a stream of work, and the seconds between them.

A CPU is done when a call returns. A GPU executes behind the host, which only issues its work: there
a clock has a :class:`Queue` too.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any, Protocol


class Queue(Protocol):
    """The queue of work that was issued to a device and is not executed yet."""

    spins: bool
    """Whether :meth:`spin` is there."""

    def host_s(self) -> float:
        """Read the clock of the host, which issues."""

    def spin(self, seconds: float) -> None:
        """Issue a kernel that keeps the device busy for about as long, and does nothing else."""

    def passed(self, mark: Any) -> bool:
        """Return whether the device has come to a mark; wait for nothing."""


class Clock(Protocol):
    """Marks in a stream of work, read only when they have passed."""

    @property
    def queue(self) -> Queue | None:
        """The device's queue; None where work is done when its call returns."""

    def synchronize(self) -> None:
        """Wait until all work that was issued is done."""

    def mark(self) -> Any:
        """Mark a point in the stream of work."""

    def seconds(self, start: Any, end: Any) -> float:
        """Return the seconds between two marks; wait until both have passed."""


class CpuClock:
    """Wall time, by a monotonic clock, of work that is done when its call returns."""

    @property
    def queue(self) -> Queue | None:
        """There is none."""
        return None

    def synchronize(self) -> None:
        """Do nothing: there is nothing to wait for."""

    def mark(self) -> float:
        return perf_counter()

    def seconds(self, start: float, end: float) -> float:
        return end - start


class EventClock:
    """Events in the current stream: the device's own time between them.

    ``make_event`` makes one that has ``record``, ``query``, ``synchronize`` and ``elapsed_time``
    (ms). ``sleep`` issues a kernel that spins for a number of cycles; None where torch has none.
    """

    def __init__(
        self,
        make_event: Callable[[], Any],
        synchronize: Callable[[], object],
        sleep: Callable[[int], object] | None,
    ) -> None:
        self._make_event, self._synchronize, self._sleep = make_event, synchronize, sleep
        self._cycles_per_s: float | None = None
        self.spins = sleep is not None

    @property
    def queue(self) -> Queue | None:
        """That of the device, which this is too."""
        return self

    def synchronize(self) -> None:
        self._synchronize()

    def mark(self) -> Any:
        event = self._make_event()
        event.record()
        return event

    def seconds(self, start: Any, end: Any) -> float:
        end.synchronize()
        return float(start.elapsed_time(end)) / 1e3  # of milliseconds

    def host_s(self) -> float:
        return perf_counter()

    def passed(self, mark: Any) -> bool:
        return bool(mark.query())

    def spin(self, seconds: float) -> None:
        """Issue the kernel that spins; the first call measures how fast cycles pass.

        Raises:
            RuntimeError: torch has no such kernel for the device.
        """
        if self._sleep is None:
            raise RuntimeError("torch has no kernel that spins on this device")
        if self._cycles_per_s is None:
            self._sleep(RAMP_CYCLES)  # clocks are low while a device is idle
            start = self.mark()
            self._sleep(TRIAL_CYCLES)
            self._cycles_per_s = TRIAL_CYCLES / self.seconds(start, self.mark())
        self._sleep(max(1, round(seconds * self._cycles_per_s)))


RAMP_CYCLES, TRIAL_CYCLES = 10_000_000, 40_000_000
"""Of a spin before its rate is measured, and of the one that is: some 5 and 20 ms at 2 GHz."""
