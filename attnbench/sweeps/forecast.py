"""How long configurations take on slots, one at a time on each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attnbench.sweeps.device.slots import Slot, fits
from attnbench.sweeps.plan.configuration import Configuration

Seconds = Callable[[Configuration], float]
"""About how long a configuration takes."""


def left_s(
    waiting: Sequence[Configuration],
    running: Sequence[tuple[Configuration, Slot]],
    slots: Sequence[Slot],
    seconds: Seconds,
) -> float | None:
    """Return how long it takes until all are measured, each on the first free slot that fits.

    What is running is taken to have just begun. None where something waits that fits no slot.
    """
    busy_s = dict.fromkeys((slot.key for slot in slots), 0.0)
    for known, slot in running:
        busy_s[slot.key] = busy_s.get(slot.key, 0.0) + seconds(known)
    for known in waiting:
        fitting = [slot.key for slot in slots if fits(slot, known.device, known.on)]
        if not fitting:
            return None
        first = min(fitting, key=busy_s.__getitem__)
        busy_s[first] += seconds(known)
    return max(busy_s.values(), default=0.0)
