"""A file that one process can lock for itself or with others, and who has done so."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from attnbench.errors import UserError
from attnbench.text import printable

try:
    import fcntl
except ImportError:  # there is none on Windows
    fcntl = None  # type: ignore[assignment]

SUPPORTED = fcntl is not None
"""Whether this system has such locks."""

FOLDER = "ATTNBENCH_LOCKS"
"""The variable that names another folder for the locks; machines without it share one."""

MOST_BYTES = 4096
MOST_COMMAND = 120

Work = Literal["measures", "trains", "evaluates"]
"""What a process does with a device: it is timed there, or only computes."""


@dataclass(frozen=True)
class Holder:
    """Who has a lock: what its process has written into the lock's file."""

    pid: int
    command: str
    since: str
    work: Work = "measures"

    def __str__(self) -> str:
        return f"process {self.pid} ({self.command}, since {self.since})"

    @property
    def described(self) -> str:
        """The process and what it does: ``process 12 (attnbench run, since 9:00), which ...``."""
        return f"{self}, which {self.work} on this machine"


UNKNOWN = Holder(0, "its command is not known", "an unknown time")


def this_process(work: Work) -> Holder:
    """Return what this process writes into the files that it locks."""
    command = " ".join(["attnbench", *sys.argv[1:]])
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Holder(os.getpid(), printable(command, MOST_COMMAND), now, work)


class LockFile:
    """An open file that can be locked, alone or with others.

    Raises:
        UserError: it cannot be opened.
    """

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
        """Release the lock, which processes that were forked meanwhile cannot keep."""
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
        """Write who has the lock."""
        text = json.dumps(asdict(holder)).encode()
        with suppress(OSError):  # a full disk: the lock holds, and is only without its words
            os.ftruncate(self._number, 0)
            os.pwrite(self._number, text, 0)

    def read(self) -> Holder:
        """Return who has the lock, by what stands in the file; any user can write there."""
        with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
            data = json.loads(os.pread(self._number, MOST_BYTES, 0))
            words = {key: printable(str(data[key]), MOST_COMMAND) for key in ("command", "since")}
            work = data["work"] if data.get("work") in get_args(Work) else UNKNOWN.work
            return Holder(int(data["pid"]), **words, work=work)
        return UNKNOWN

    def close(self) -> None:
        """Close the file, without which its lock ends."""
        self.release()
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
