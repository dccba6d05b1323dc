"""A device's own time for some steps, taken while they all wait behind a spin.

Where a device executes faster than Python issues, as at small batches, it waits for Python, and the
seconds between two events are those of issuing. Behind a kernel that spins for longer than issuing
takes, all launches are in the queue when the first begins, and the seconds are the device's alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from attnbench.devices.clocks import Clock, Queue
from attnbench.records.schema import DeviceTime

QUEUE_LAUNCHES = 900
"""Launches below which all fit into the queue: CUDA's holds about 1000 (not documented; where one
holds fewer, the check of every block finds out, and steps are halved)."""

MARGIN, LEAST_SPIN_S = 1.5, 1e-3
"""A spin lasts that many times what issuing took, and a millisecond beyond."""

RAISES = (1, 2, 4)
"""How many times as long a spin is tried before there are fewer steps."""

TRIES = 3
"""Of a block in a round: the host may have been interrupted while it issued."""

RAISE = 1.5
MOST_RAISED = 8
"""After a block in which the spin was over too early the next lasts longer, up to so many times."""


class NotAheadError(RuntimeError):
    """A step cannot be issued while the device is busy with something else."""


@dataclass
class Ahead:
    """How the device time of a variant is taken: steps behind a spin of that many seconds."""

    steps: int
    spin_s: float
    most_s: float = float("inf")

    def raise_spin(self) -> None:
        """Let the next spin last longer, within limits."""
        self.spin_s = min(self.most_s, RAISE * self.spin_s)


def calibrate(
    step: Callable[[], object], clock: Clock, launches: int | None, most_steps: int
) -> Ahead:
    """Find how many steps of a warm step fit into the queue, and a spin that outlasts issuing.

    ``launches`` are those of one step, None where they are not known.

    Raises:
        NotAheadError: the spin was over before one step was issued, however long it was.
    """
    queue = _queue(clock)
    fitting = most_steps if launches is None else (QUEUE_LAUNCHES - 1) // max(launches, 1)
    steps = max(1, min(fitting, most_steps))
    while True:
        clock.synchronize()
        begun = queue.host_s()
        for _ in range(steps):
            step()
        issued_s = queue.host_s() - begun
        first = MARGIN * issued_s + LEAST_SPIN_S
        for times in RAISES:
            if _behind_spin(step, steps, times * first, clock) is not None:
                return Ahead(steps, times * first, MOST_RAISED * times * first)
        if steps == 1:
            raise NotAheadError(
                "no device time: one step could not be issued while the device was busy with "
                f"a spin of {RAISES[-1] * first:.3g} s; the step waits for the device, or launches "
                "more than its queue holds"
            )
        steps //= 2


def measure(step: Callable[[], object], ahead: Ahead, clock: Clock) -> DeviceTime | None:
    """Return the device's time for a block of steps; None where the spin was over too early.

    It is tried a few times, with a longer spin each time.
    """
    for _ in range(TRIES):
        seconds = _behind_spin(step, ahead.steps, ahead.spin_s, clock)
        if seconds is not None:
            return DeviceTime(steps=ahead.steps, seconds=seconds, spin_s=ahead.spin_s)
        ahead.raise_spin()
    return None


def _behind_spin(
    step: Callable[[], object], steps: int, spin_s: float, clock: Clock
) -> float | None:
    """Return the seconds of steps behind a spin; None where it ended before they were issued."""
    queue = _queue(clock)
    clock.synchronize()
    queue.spin(spin_s)
    start = clock.mark()
    for _ in range(steps):
        step()
    ahead = not queue.passed(start)  # the device is still before it, in the spin
    seconds = clock.seconds(start, clock.mark())
    return seconds if ahead else None


def _queue(clock: Clock) -> Queue:
    if clock.queue is None:
        raise ValueError("the device has no queue: its work is done when a call returns")
    return clock.queue
