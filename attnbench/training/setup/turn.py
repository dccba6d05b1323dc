"""Whose end a training waits for: the locks of the machine and its GPUs, while it goes on.

Of several processes one on each machine holds them, for all GPUs that they train on there. All wait
together, so that none of them gives up on the others meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import sleep
from typing import Protocol

from attnbench.errors import UserError
from attnbench.system import environment, machine_lock
from attnbench.system.machine_lock import IfBusy, Turn
from attnbench.training.processes import Processes


class Listener(Protocol):
    """What hears for whom a training waits, and may end that."""

    def stop(self) -> bool:
        """Return whether to stop."""

    def waiting(self, holder: str) -> None:
        """Hear which process has a device, and what it does; called once a second."""


class NotHereError(UserError):
    """The fault of another process, which tells of it."""


@contextmanager
def hold(
    group: Processes,
    if_busy: IfBusy,
    listener: Listener,
    pause: Callable[[float], object] = sleep,
) -> Iterator[Turn | None]:
    """Wait for the turn of all processes, and keep measurements away from their devices.

    Yields the turn in the process of each machine that holds it, else None.

    Raises:
        UserError: another has a device, and that is to be refused; or a lock that cannot be opened.
        KeyboardInterrupt: the listener said stop.
    """
    fault, holder, mine = None, None, None
    if group.first_here:
        try:
            mine = Turn(environment.lock_names_apart(group.devices_here), "trains")
        except UserError as error:
            fault = str(error)
    try:
        while True:
            if mine is not None:
                fault, holder = _tried(mine, if_busy)
            faults, holders = zip(*group.every((fault, holder)), strict=True)
            if fault:
                raise UserError(fault)
            if any(faults):
                raise NotHereError(next(filter(None, faults)))
            if not any(holders):
                break
            if mine is not None:  # or two trainings could each have one of two machines for ever
                mine.end()
            if group.first:
                listener.waiting(next(filter(None, holders)))
            if group.greatest(int(listener.stop())):
                raise KeyboardInterrupt
            pause(machine_lock.LOOK_S)
        yield mine
    finally:
        if mine is not None:
            mine.end()


def _tried(turn: Turn, if_busy: IfBusy) -> tuple[str | None, str | None]:
    """Return why the turn cannot be had, or who has it; twice None where it is taken."""
    try:
        return None, next((one.described for one in machine_lock.begin(turn, if_busy)), None)
    except UserError as error:
        return str(error), None
