"""Temporary folders that no end of a process leaves behind, but that of being killed.

Those of a process and of its children lie in one folder, with a file that the process has locked
for as long as it lives. What a killed process has left is removed by the next one that needs such a
folder.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import util
from pathlib import Path

from attnbench.errors import UserError

try:
    import fcntl
except ImportError:  # there is none on Windows
    fcntl = None  # type: ignore[assignment]

PREFIX = "attnbench-"
"""Of the folders' names; then comes the number of the process."""

IN_USE = "in-use"
"""The file that is locked."""

TRIES = 3

MOST_OF_ADDRESS = 103
"""Bytes of the path of a socket, on every system (macOS has the fewest)."""

BELOW = len("/pymp-12345678/listener-12345678")
"""Of these bytes, what multiprocessing appends to a folder."""

LAST = -101
"""The place among what multiprocessing does at an end: after it has removed its own folder (-100),
which lies in that of the process."""


class _Own:
    """The folder of this process, once there is one, its locked file's number and its sockets."""

    path: Path | None = None
    lock: int | None = None
    sockets: Path | None = None
    making = threading.Lock()


@contextmanager
def folder() -> Iterator[Path]:
    """Make an empty folder, which is removed with all that is in it when the body ends.

    Raises:
        UserError: none can be made.
    """
    place, process = made(), os.getpid()
    try:
        yield place
    finally:
        if os.getpid() == process:  # and no copy of it
            discard(place)


def made() -> Path:
    """Make an empty folder in that of this process.

    Raises:
        UserError: none can be made.
    """
    try:
        return Path(tempfile.mkdtemp(dir=of_process()))
    except OSError as error:
        raise _refused(error.strerror) from error


def discard(place: Path) -> None:
    """Remove a folder with all that is in it, as far as it can be removed."""
    shutil.rmtree(place, ignore_errors=True)


def of_process() -> Path:
    """Return the folder of this process, made on first use.

    Raises:
        UserError: none can be made.
    """
    with _Own.making:
        if _Own.path is None:
            remove_dead()
            _Own.path, _Own.lock = _made()
            util.Finalize(None, remove, exitpriority=LAST)
        return _Own.path


def use(path: Path) -> None:
    """Use the folder of the process that has started this one, and that removes it."""
    _Own.path = path


def keep_sockets() -> None:
    """Let the sockets of multiprocessing lie in the folder of this process.

    Where their path would be too long for a socket they lie beside it, and only a process that is
    killed leaves them.
    """
    before, path = tempfile.tempdir, str(of_process())
    if len(os.fsencode(path)) + BELOW <= MOST_OF_ADDRESS:
        tempfile.tempdir = path
    try:
        _Own.sockets = Path(util.get_temp_dir())
    finally:
        tempfile.tempdir = before


def remove() -> None:
    """Remove the folder of this process, which is ending, unless another's."""
    path, lock = _Own.path, _Own.lock
    if path is None or lock is None:
        return
    if _Own.sockets is not None:
        discard(_Own.sockets)
    _Own.path = _Own.lock = _Own.sockets = None
    for _ in range(TRIES):  # something may still be made in it
        _remove(path)
    os.close(lock)


def remove_dead() -> None:
    """Remove what processes of this user have left that were killed: nothing locks it any more."""
    if fcntl is None:
        return
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}[0-9]*-*"):
        with suppress(OSError):
            facts = path.lstat()  # no other user can put another in its place
            if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid():
                continue
            lock = os.open(path / IN_USE, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(path)
            finally:
                os.close(lock)


def _remove(path: Path) -> None:
    """Remove a folder, its locked file last: without it, the rest would lie there for good."""
    with suppress(OSError):
        for part in [*path.iterdir()]:
            if part.is_dir() and not part.is_symlink():
                shutil.rmtree(part, ignore_errors=True)
            elif part.name != IN_USE:
                part.unlink(missing_ok=True)
        (path / IN_USE).unlink(missing_ok=True)
        path.rmdir()


def _made() -> tuple[Path, int]:
    for _ in range(TRIES):
        try:
            path = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
            lock = os.open(path / IN_USE, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise _refused(error.strerror) from error
        if _locked(path, lock):
            return path, lock
        os.close(lock)  # another process has just taken it for that of a dead one
    raise _refused("other processes remove it")


def _refused(why: str | None) -> UserError:
    return UserError(f"no temporary folder can be made: {why}; TMPDIR names another place")


def _locked(path: Path, lock: int) -> bool:
    """Lock the file, where the file system can; return whether it is still there."""
    try:
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # without locks nothing is taken for dead either
        pass
    return (path / IN_USE).exists()


def _forget() -> None:
    """Leave the folder to the process that this one is a copy of."""
    if _Own.lock is not None:
        os.close(_Own.lock)
    _Own.path = _Own.lock = _Own.sockets = None
    _Own.making = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
