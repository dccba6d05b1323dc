"""One measurement at a time: a lock for the machine's cores, and one for each GPU.

A run on a CPU holds the machine's lock alone. Runs on GPUs hold that of their device alone and the
machine's together: they may run beside each other, but not beside a run on the CPU. What computes
for long and is not timed itself, a training or an evaluation, takes the same locks; one on a GPU
releases the machine's when it has begun, so that a CPU need not wait for days, and is seen by what
is timed elsewhere on the machine. The locks are files that every user of the machine can open; the
system releases them when the process ends, however it does. Where the system has no such locks
(Windows), every process is alone.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import sleep
from typing import Literal

from attnbench.errors import UserError
from attnbench.system.locks import lock_file
from attnbench.system.locks.lock_file import FOLDER as FOLDER
from attnbench.system.locks.lock_file import Holder, LockFile, Work, this_process

IfBusy = Literal["wait", "refuse", "share"]
"""What to do while another has the device: wait, raise, or go on beside it."""

LOOK_S = 1.0
"""How often it is looked whether the other has ended."""

MACHINE = "machine"


@dataclass
class Turn:
    """The right of this process to compute on a device, and whether others do so beside it.

    ``devices``: names of GPUs, such as their UUIDs; empty for the cores alone. :meth:`take` until
    it returns None, then :meth:`end`. A process that goes on beside another takes the lock over
    once that has ended.
    """

    devices: tuple[str, ...] = ()
    work: Work = "measures"
    _files: dict[str, LockFile] = field(default_factory=dict)
    _sharing: dict[str, LockFile] = field(default_factory=dict)

    def take(self) -> Holder | None:
        """Take the locks if they are free; else return who has one, and hold none."""
        if not lock_file.SUPPORTED:
            return None
        for name, alone in self._wanted().items():
            file = self._files.setdefault(name, LockFile(name))
            if file.locked or file.lock(alone=alone):
                continue
            holder = file.read()
            _close(self._files)
            return holder
        for file in self._files.values():
            file.write(this_process(self.work))
        _close(self._sharing)
        return None

    def share(self, *names: str) -> None:
        """Go on beside the others, and let them see it."""
        if lock_file.SUPPORTED:
            for name in names or self._wanted():
                file = self._sharing.setdefault(name, LockFile(f"{name}-shared"))
                file.lock(alone=False)
                file.write(this_process(self.work))

    def leave_cores(self) -> None:
        """Let others be timed on the cores and on other GPUs, who see that this goes on."""
        if self.devices and MACHINE in self._files:
            self.share(MACHINE)  # first, so that it is seen at any time
            self._files.pop(MACHINE).close()

    def beside(self) -> Holder | None:
        """Return who else computes on the same device now, or on the cores that feed it."""
        if not lock_file.SUPPORTED:
            return None
        if self._sharing and (holder := self.take()) is not None:
            return holder
        for name in self._wanted():
            file = LockFile(f"{name}-shared")
            try:
                if not file.free():
                    return file.read()
            finally:
                file.close()
        return None

    def end(self) -> None:
        """Release everything."""
        _close(self._files)
        _close(self._sharing)

    def _wanted(self) -> dict[str, bool]:
        """Return the locks by name, and whether each is to be held alone."""
        gpus = [f"gpu-{re.sub(r'[^A-Za-z0-9]+', '-', device)}" for device in self.devices]
        return {MACHINE: not gpus, **dict.fromkeys(gpus, True)}


def _close(files: dict[str, LockFile]) -> None:
    for file in files.values():
        file.close()
    files.clear()


def begin(turn: Turn, if_busy: IfBusy) -> Iterator[Holder]:
    """Take the turn; yield who has the device for as long as that has to be waited for.

    The caller waits between two items. Where the iterator has ended, the turn is taken, or shared.

    Raises:
        UserError: another has the device, and that is to be refused; or a lock that cannot be
            opened.
    """
    while (holder := turn.take()) is not None:
        if if_busy == "refuse":
            raise UserError(
                f"{holder} {holder.work} on this machine; --no-wait does not wait for it"
            )
        if if_busy == "share":
            turn.share()
            return
        yield holder


@contextmanager
def alone(*devices: str, work: Work = "measures", if_busy: IfBusy = "wait") -> Iterator[None]:
    """Wait until nothing else computes on the devices, saying so on stderr, and keep others out.

    What is timed also says who goes on elsewhere on the machine and disturbs it; what is not timed
    leaves the cores to others where it computes on a GPU.

    Raises:
        UserError: another has a device, and that is to be refused; or a lock that cannot be opened.
    """
    turn, said = Turn(devices, work), False
    try:
        for holder in begin(turn, if_busy):
            if not said:
                _say(f"waiting for {holder.described}")
            said = True
            sleep(LOOK_S)
        if work != "measures":
            turn.leave_cores()
        elif other := turn.beside():
            _say(f"beside {other.described}: figures may be disturbed by it")
        yield
    finally:
        turn.end()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
