"""``records.jsonl`` and the folders that hold one."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from attnbench.errors import UserError
from attnbench.records.jsonl import Lines
from attnbench.records.schema import READABLE, Record

try:
    import fcntl
except ImportError:  # there is none on Windows
    fcntl = None  # type: ignore[assignment]

FILE_NAME = "records.jsonl"

_RECORDS = Lines(FILE_NAME, Record, READABLE)


_LOCKED: dict[Path, int] = {}
"""Folder and open file; the system gives the claim up when this process ends, however it does."""


def lock(folder: Path) -> None:
    """Make this process the only one that writes to a folder, for as long as it lives.

    Raises:
        UserError: another process writes to it, or it cannot be written to.
    """
    if folder.resolve() in _LOCKED:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = os.open(folder / FILE_NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}") from error
    if fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(file)
            raise UserError(f"another attnbench is writing to {folder}") from error
    _LOCKED[folder.resolve()] = file


def append(folder: Path, record: Record) -> None:
    """Write one line and see it onto the disk, so that a killed run loses nothing finished."""
    _RECORDS.append(folder, record.as_json())


def read(folder: Path) -> list[Record]:
    """The records of a folder.

    A last line that was cut off while it was written is left out: nothing was finished there.

    Raises:
        UserError: no such file, or a line that is not a record of this schema.
    """
    return _RECORDS.read(folder)


def runs_in(folder: Path) -> list[Path]:
    """The folders of runs that a folder holds: itself, or the folders in it, sorted by name."""
    if _has_records(folder):
        return [folder]
    try:
        inside = sorted(each for each in folder.iterdir() if each.is_dir())
    except OSError:
        return []
    return [each for each in inside if _has_records(each)]


def holds_a_file(folder: Path) -> bool:
    """Whether a run was at least begun here, perhaps within its first line."""
    return _RECORDS.exist(folder)


def _has_records(folder: Path) -> bool:
    """Return whether the folder's file holds a record; one whole line is enough to know."""
    if not holds_a_file(folder):
        return False
    try:
        with (folder / FILE_NAME).open("rb") as file:
            whole = file.readline().endswith(b"\n")
    except OSError:
        return True  # reading it says why it cannot be read
    return whole or bool(read(folder))


def repair(folder: Path) -> None:
    """Make the file end in a whole line, so that lines can be appended.

    Raises:
        UserError: the file cannot be read or written. No whole line is ever touched.
    """
    _RECORDS.repair(folder)


def new_folder(what: str) -> Path:
    """A new folder under ``reports/``, named by the date and what is in it.

    Raises:
        UserError: it cannot be made.
    """
    stem = f"{datetime.now(UTC):%Y-%m-%d}-{what}"
    for number in count(1):
        folder = Path("reports") / (stem if number == 1 else f"{stem}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise UserError(f"cannot write to {folder}: {error.strerror}") from error
        return folder
    raise AssertionError("count() has no end")
