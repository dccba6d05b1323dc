"""Locks that make one process of a sweep the only one that measures on a device.

A GPU belongs to one process, and so does the machine while its CPU is measured: a process that
measures a CPU waits for those that measure GPUs, and they for it. The locks are the system's: they
end with the process, however it ends, and hold whatever engine or driver has started it.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from attnbench.errors import UserError

try:
    import fcntl
except ImportError:  # there is none on Windows
    fcntl = None  # type: ignore[assignment]

MACHINE = "machine"

_held: list[int] = []
"""The locked files of this process, open until it ends."""


def folder() -> Path:
    """Return the folder of the locks, which all processes of the machine share."""
    return Path(tempfile.gettempdir()) / "attnbench-slots"


def take(gpu: str | None, waiting: Callable[[], object]) -> None:
    """Make this process the only one on a GPU, or with None on the machine, until it ends.

    ``waiting`` is called once where another process has the device now.

    Raises:
        UserError: the locks cannot be used.
    """
    if fcntl is None:
        return
    locks = [(MACHINE, fcntl.LOCK_EX)]
    if gpu is not None:
        locks = [(re.sub(r"[^\w-]", "_", gpu), fcntl.LOCK_EX), (MACHINE, fcntl.LOCK_SH)]
    try:
        files = [(_opened(name), kind) for name, kind in locks]
        for file, kind in files:
            try:
                fcntl.flock(file, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(file, kind)
    except OSError as error:
        raise UserError(f"cannot lock the device in {folder()}: {error.strerror}") from error
    _held.extend(file for file, _ in files)


def _opened(name: str) -> int:
    """Open a lock's file, which any user of the machine may have made."""
    place = folder()
    with suppress(FileExistsError):
        place.mkdir()
        place.chmod(0o1777)
    with suppress(FileExistsError):
        made = os.open(place / name, os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0o666)
        os.close(made)
    return os.open(place / name, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
