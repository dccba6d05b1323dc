"""A device's own time for some steps, taken while they all wait behind a spin.

Where a device executes faster than Python issues, as at small batches, it waits for Python, and the
seconds between two events are those of issuing. Behind a kernel that spins for longer than issuing
takes, all launches are in the queue when the first begins, and the seconds are the device's alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

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
    """How the device time of a variant is taken: steps behind a spin of that many seconds.

    With ``each`` a mark stands behind every step, so that each has its own seconds too.
    """

    steps: int
    spin_s: float
    most_s: float = float("inf")
    each: bool = False

    def raise_spin(self) -> None:
        """Let the next spin last longer, within limits."""
        self.spin_s = min(self.most_s, RAISE * self.spin_s)


def calibrate(
    step: Callable[[], object],
    clock: Clock,
    launches: int | None,
    most_steps: int,
    *,
    each: bool = False,
) -> Ahead:
    """Find how many steps of a warm step fit into the queue, and a spin that outlasts issuing.

    ``launches`` are those of one step, None where they are not known; ``each`` marks every step,
    and a mark stands in the queue as a launch does.

    Raises:
        NotAheadError: the spin was over before one step was issued, however long it was.
    """
    queue = _queue(clock)
    fitting = most_steps if launches is None else (QUEUE_LAUNCHES - 1) // max(launches + each, 1)
    steps = max(1, min(fitting, most_steps))
    while True:
        clock.synchronize()
        begun = queue.host_s()
        for _ in range(steps):
            step()
        issued_s = queue.host_s() - begun
        first = MARGIN * issued_s + LEAST_SPIN_S
        for times in RAISES:
            ahead = Ahead(steps, times * first, MOST_RAISED * times * first, each)
            if _behind_spin(step, ahead, clock) is not None:
                return ahead
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
        marks = _behind_spin(step, ahead, clock)
        if marks is not None:
            return DeviceTime(
                steps=ahead.steps,
                seconds=clock.seconds(marks[0], marks[-1]),
                spin_s=ahead.spin_s,
                each_s=each_s(marks, clock) if len(marks) > BOTH_ENDS else None,
            )
        ahead.raise_spin()
    return None


BOTH_ENDS = 2
"""Marks around steps that have none between them."""

SHOWN_DIGITS = 9
"""Of the seconds of single steps: to the nanosecond, no clock is finer."""


def each_s(marks: Sequence[Any], clock: Clock) -> tuple[float, ...]:
    """Return the seconds between each mark and the next."""
    return tuple(round(clock.seconds(one, next_), SHOWN_DIGITS) for one, next_ in pairwise(marks))


def _behind_spin(step: Callable[[], object], ahead: Ahead, clock: Clock) -> list[Any] | None:
    """Return marks around steps behind a spin; None where it ended before they were issued.

    All have passed.
    """
    queue = _queue(clock)
    clock.synchronize()
    queue.spin(ahead.spin_s)
    marks = [clock.mark()]
    for number in range(ahead.steps):
        step()
        if ahead.each and number + 1 < ahead.steps:
            marks.append(clock.mark())
    in_time = not queue.passed(marks[0])  # the device is still before it, in the spin
    marks.append(clock.mark())
    clock.seconds(marks[0], marks[-1])  # waits
    return marks if in_time else None


def _queue(clock: Clock) -> Queue:
    if clock.queue is None:
        raise ValueError("the device has no queue: its work is done when a call returns")
    return clock.queue
