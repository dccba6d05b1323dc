"""One measurement at a time: a lock for the machine's cores, and one for each GPU.

A run on a CPU holds the machine's lock alone. Runs on GPUs hold that of their device alone and the
machine's together: they may run beside each other, but not beside a run on the CPU. The locks are
files that every user of the machine can open; the system releases them when the process ends,
however it does. Where the system has no such locks (Windows), every measurement is alone.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import sleep
from typing import Literal

from attnbench.errors import UserError
from attnbench.text import printable

try:
    import fcntl
except ImportError:  # there is none on Windows
    fcntl = None  # type: ignore[assignment]

IfBusy = Literal["wait", "refuse", "share"]
"""What to do while another measures: wait, raise, or measure beside it."""

FOLDER = "ATTNBENCH_LOCKS"
"""The variable that names another folder for the locks; machines without it share one."""

MOST_BYTES = 4096
MOST_COMMAND = 120
LOOK_S = 1.0
"""How often it is looked whether the other has ended."""


@dataclass(frozen=True)
class Holder:
    """Who measures: what its process has written into the lock's file."""

    pid: int
    command: str
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} ({self.command}, since {self.since})"


UNKNOWN = Holder(0, "its command is not known", "an unknown time")


def _this_process() -> Holder:
    command = " ".join(["attnbench", *sys.argv[1:]])
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Holder(os.getpid(), printable(command, MOST_COMMAND), now)


class _File:
    """An open file that can be locked, alone or with others."""

    def __init__(self, name: str) -> None:
        folder = Path(os.environ.get(FOLDER) or _shared_folder())
        path = folder / f"attnbench-{name}.lock"
        flags = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
        try:
            self._number = _opened(path, flags)
        except OSError as error:
            raise UserError(
                f"cannot open {path}, the lock of measurements: {error.strerror}; "
                f"{FOLDER} names another folder"
            ) from error
        self.locked = False

    def lock(self, *, alone: bool) -> bool:
        """Take the lock where it is free for that; return whether this process has it now."""
        kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
        try:
            fcntl.flock(self._number, kind | fcntl.LOCK_NB)
        except OSError:
            return False
        self.locked = True
        return True

    def release(self) -> None:
        if self.locked:
            fcntl.flock(self._number, fcntl.LOCK_UN)
        self.locked = False

    def free(self) -> bool:
        """Return whether no other holds it, in any way."""
        if not self.lock(alone=True):
            return False
        self.release()
        return True

    def write(self, holder: Holder) -> None:
        text = json.dumps(asdict(holder)).encode()
        with suppress(OSError):  # a full disk: the lock holds, and is only without its words
            os.ftruncate(self._number, 0)
            os.pwrite(self._number, text, 0)

    def read(self) -> Holder | None:
        with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
            data = json.loads(os.pread(self._number, MOST_BYTES, 0))
            # Any user can write there.
            words = {key: printable(str(data[key]), MOST_COMMAND) for key in ("command", "since")}
            return Holder(int(data["pid"]), **words)
        return None

    def close(self) -> None:
        os.close(self._number)


def _shared_folder() -> str:
    """Return a folder that is the same for every user, whatever their TMPDIR is."""
    return "/tmp" if os.path.isdir("/tmp") else tempfile.gettempdir()  # noqa: PTH112


def _opened(path: Path, flags: int) -> int:
    # First without O_CREAT, which systems refuse for another user's file in a shared folder.
    with suppress(FileNotFoundError):
        return os.open(path, flags)
    number = os.open(path, flags | os.O_CREAT, 0o666)
    with suppress(OSError):  # whatever this process masks
        os.fchmod(number, 0o666)
    return number


@dataclass
class Turn:
    """The right of this process to measure on a device, and whether others measure beside it.

    ``devices``: names of GPUs, such as their UUIDs; empty for the cores alone. :meth:`take` until
    it returns None, then :meth:`end`. A process that measures beside another takes the lock over
    once that has ended.
    """

    devices: tuple[str, ...] = ()
    _files: dict[str, _File] = field(default_factory=dict)
    _sharing: dict[str, _File] = field(default_factory=dict)

    def take(self) -> Holder | None:
        """Take the locks if they are free; else return who has one, and hold none."""
        if fcntl is None:
            return None
        for name, alone in self._wanted().items():
            file = self._files.setdefault(name, _File(name))
            if file.locked or file.lock(alone=alone):
                continue
            holder = file.read() or UNKNOWN
            self._release()
            return holder
        for file in self._files.values():
            file.write(_this_process())
        self._unshare()
        return None

    def share(self) -> None:
        """Measure beside the others, and let them see it."""
        if fcntl is not None:
            for name in self._wanted():
                file = self._sharing.setdefault(name, _File(f"{name}-shared"))
                file.lock(alone=False)

    def shared(self) -> bool:
        """Return whether another process measures on the same device now."""
        if fcntl is None:
            return False
        if self._sharing and self.take() is not None:
            return True
        others = [_File(f"{name}-shared") for name in self._wanted()]
        try:
            return not all(file.free() for file in others)
        finally:
            for file in others:
                file.close()

    def end(self) -> None:
        """Release everything."""
        self._release()
        self._unshare()

    def _wanted(self) -> dict[str, bool]:
        """Return the locks by name, and whether each is to be held alone."""
        gpus = [f"gpu-{re.sub(r'[^A-Za-z0-9]+', '-', device)}" for device in self.devices]
        return {"machine": not gpus, **dict.fromkeys(gpus, True)}

    def _release(self) -> None:
        for file in self._files.values():
            file.release()
            file.close()
        self._files.clear()

    def _unshare(self) -> None:
        for file in self._sharing.values():
            file.release()
            file.close()
        self._sharing.clear()


def begin(turn: Turn, if_busy: IfBusy) -> Iterator[Holder]:
    """Take the turn; yield who measures for as long as that has to be waited for.

    The caller waits between two items. Where the iterator has ended, the turn is taken, or shared.

    Raises:
        UserError: another measures, and that is to be refused; or a lock that cannot be opened.
    """
    while (holder := turn.take()) is not None:
        if if_busy == "refuse":
            raise UserError(f"{holder} measures on this machine; --no-wait does not wait for it")
        if if_busy == "share":
            turn.share()
            return
        yield holder


@contextmanager
def alone(*devices: str) -> Iterator[None]:
    """Wait until nothing else measures on the devices, saying so on stderr, and keep others out."""
    turn, said = Turn(devices), False
    try:
        for holder in begin(turn, "wait"):
            if not said:
                print(f"waiting for {holder}, which measures", file=sys.stderr, flush=True)
            said = True
            sleep(LOOK_S)
        yield
    finally:
        turn.end()
