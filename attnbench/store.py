"""``records.jsonl``: append and flush, read back, and say exactly what is wrong with it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from .errors import UserError
from .records import READABLE, Record

try:
    import fcntl
except ImportError:  # there is none on Windows
    fcntl = None  # type: ignore[assignment]

FILE_NAME = "records.jsonl"

_READER: TypeAdapter[Record] = TypeAdapter(Record)


_CLAIMED: dict[Path, int] = {}
"""Folder and open file; the system gives the claim up when this process ends, however it does."""


def claim(folder: Path) -> None:
    """Make this process the only one that writes to a folder, for as long as it lives.

    Raises:
        UserError: another process writes to it, or it cannot be written to.
    """
    if folder.resolve() in _CLAIMED:
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
    _CLAIMED[folder.resolve()] = file


def append(folder: Path, record: Record) -> None:
    """Write one line and see it onto the disk, so that a killed run loses nothing finished."""
    line = json.dumps(record.as_json(), allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / FILE_NAME).open("a", encoding="utf-8", errors="replace") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}") from error


def read(folder: Path) -> list[Record]:
    """The records of a folder.

    A last line that was cut off while it was written is left out: nothing was finished there.

    Raises:
        UserError: no such file, or a line that is not a record of this schema.
    """
    path = folder / FILE_NAME
    lines = _lines(path)
    if lines and _torn(lines[-1]):
        lines.pop()
    return [_parse(line, f"{path}, line {number}") for number, line in enumerate(lines, start=1)]


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
    return os.path.isfile(folder / FILE_NAME)  # noqa: PTH113  Path's raises where it may not look


def _has_records(folder: Path) -> bool:
    return holds_a_file(folder) and bool(read(folder))


def mend(folder: Path) -> None:
    """Make the file end in a whole line, so that lines can be appended.

    Raises:
        UserError: the file cannot be read or written. No whole line is ever touched.
    """
    path = folder / FILE_NAME
    last = (_lines(path) or [b"\n"])[-1]
    try:
        if _torn(last):
            os.truncate(path, path.stat().st_size - len(last))
        elif not last.endswith(b"\n"):
            with path.open("ab") as file:
                file.write(b"\n")
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}") from error


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().splitlines(keepends=True)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error


def _torn(line: bytes) -> bool:
    if line.endswith(b"\n"):
        return False
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return True
    return False


def _parse(line: bytes, where: str) -> Record:
    try:
        data: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: not JSON ({error})") from error
    schema = data.get("schema") if isinstance(data, dict) else None
    if not isinstance(schema, int) or isinstance(schema, bool):
        raise UserError(f"{where}: not an attnbench record (it states no schema)")
    if schema not in READABLE:
        known = " and ".join(map(str, READABLE))
        raise UserError(f"{where}: schema {schema}; this attnbench reads schema {known}")
    try:
        return _READER.validate_json(line, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{where}: {field or 'record'}: {first['msg']}") from error
