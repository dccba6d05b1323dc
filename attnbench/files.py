"""Write files that are whole or absent, whatever happens meanwhile."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from errno import EINVAL
from pathlib import Path
from typing import BinaryIO

from attnbench.errors import UserError


def write_whole(path: Path, data: bytes) -> None:
    """Write beside the file, sync, then rename: a reader sees the old file or the new one.

    Raises:
        UserError: it cannot be written, for example because the disk is full; what was there stays.
    """
    try:
        handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(beside).chmod(0o666 & ~_umask())
            Path(beside).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(beside).unlink()
            raise
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error


def require_folder(folder: Path) -> None:
    """Refuse a folder that cannot be made or written to, by trying; nothing of the trial is left.

    Permissions tell too little: of ``/proc`` they say that it can be written to.

    Raises:
        UserError: nothing can be made in it, or in the nearest folder above it that is there.
    """
    try:
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}") from error
    if not there.is_dir():
        raise UserError(f"cannot write to {folder}: {there} is not a folder")
    try:
        Path(tempfile.mkdtemp(prefix=".attnbench-", dir=there)).rmdir()
    except OSError as error:
        raise UserError(
            f"cannot write to {folder}: nothing can be made in {there} ({error.strerror})"
        ) from error


def resolved(path: Path) -> Path:
    """Return a path without links and dots, whatever a user names.

    ``Path.resolve`` raises a RuntimeError of links that lead to each other before Python 3.13.
    """
    return Path(os.path.realpath(path))


def read_named(path: Path) -> bytes:
    """Read a file that a user names, or a pipe; one that nobody has opened to write is empty.

    Raises:
        OSError: it cannot be read, or is a device, which may have no end (``/dev/zero``).
    """
    with path.open("rb") if not path.is_fifo() else _opened_at_once(path) as file:
        mode = os.fstat(file.fileno()).st_mode
        if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            raise OSError(EINVAL, "it is a device and no file")
        return file.read()


def _opened_at_once(pipe: Path) -> BinaryIO:
    """Open a pipe to read without waiting for somebody to write to it."""
    file = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(file, True)
    return os.fdopen(file, "rb")


def append_whole(path: Path, data: bytes) -> None:
    """Append to a file and sync; where that fails, remove what was written of the data.

    Raises:
        OSError: it cannot be written whole.
    """
    # Unbuffered: a buffer would write the rest when the file is closed.
    with path.open("ab", buffering=0) as file:
        before = os.fstat(file.fileno()).st_size
        try:
            left = memoryview(data)
            while left:
                left = left[file.write(left) :]
            os.fsync(file.fileno())
        except OSError:
            with suppress(OSError):
                file.truncate(before)
            raise


def _umask() -> int:
    """Return the process's mask of permissions, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
