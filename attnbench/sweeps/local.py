"""Measure a sweep on this machine, one configuration after the other."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

from attnbench.sweeps.course import Course
from attnbench.sweeps.device import process, slots
from attnbench.sweeps.device.slots import Slot, fits


def here() -> list[Slot]:
    """Return the devices of this machine, its GPUs first: what says nothing else takes them."""
    return [*slots.here(device="cuda"), *slots.here(device="cpu")]


def drive(course: Course, say: Callable[[str], object] = lambda _: None) -> None:
    """Measure all that waits; what fails does not stop the others.

    ``say`` is called with a line where a configuration has to wait for another process.

    Raises:
        UserError: the sweep's folder cannot be written to.
        KeyboardInterrupt: the user wants no more; what was being measured is ended.
    """
    course.slots = tuple(here())
    for known in list(course.waiting):
        slot = next((one for one in course.slots if fits(one, known.device, known.on)), None)
        if slot is None:
            there = ", ".join(one.shown for one in course.slots)
            course.give_up(known, f"no device here is {known.wanted}; there is {there}")
            continue
        while known in course.waiting:  # again where what was begun elsewhere cannot go on
            course.start(known, slot)
            try:
                answer = process.measure(
                    known.request(slot.device),
                    course.sweep.files,
                    course.folder.unfinished(known.name),
                    slot.gpu_uuid,
                    os.environ,
                    told=partial(_told, known.name, say),
                )
            except BaseException:
                course.interrupt()
                raise
            course.end(known, answer)


def _told(name: str, say: Callable[[str], object], what: str) -> None:
    if what.startswith("waiting"):
        say(f"{name} is {what}")
