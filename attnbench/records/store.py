"""``records.jsonl`` and the folders that hold one.

The case and the environment stand on the first line of a file; each later line has only what it
adds, and the facts that have changed. Records in memory are whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from attnbench.errors import UserError
from attnbench.files import resolved
from attnbench.records.case import CASE_OPTIONS
from attnbench.records.jsonl import JsonLines, writing_to
from attnbench.records.schema import OLDEST, SCHEMA, Entry, Environment, Record

try:
    import fcntl
except ImportError:  # there is none on Windows
    fcntl = None  # type: ignore[assignment]

FILE_NAME = "records.jsonl"


def _with_runtime(line: dict[str, Any]) -> dict[str, Any]:
    """Return the first line of a schema 4 as of this one: it states the runtime in two switches."""
    case = line.get("case")
    if not isinstance(case, dict):
        return line
    compiled, captured = case.get("compiled"), case.get("cuda_graph")
    if not isinstance(compiled, bool) or not isinstance(captured, bool):
        return line | {"case": case | {"compiled": None}}  # which is then refused
    names = {(False, False): "eager", (True, False): "compile", (False, True): "cuda-graph"}
    rest = {key: value for key, value in case.items() if key not in {"compiled", "cuda_graph"}}
    return line | {
        "case": rest | {"runtime": names.get((compiled, captured), "compile+cuda-graph")}
    }


_UPGRADE = "; docs/upgrade_records.py in attnbench's repository rewrites the file"
RECORDS = JsonLines(
    FILE_NAME,
    Record,
    SCHEMA,
    oldest=OLDEST,
    older=_with_runtime,
    stated={"case": {name: known.since for name, known in CASE_OPTIONS.items()}},
    upgrade=_UPGRADE,
)
"""The file, with the kind of its first line."""

_LATER = JsonLines(FILE_NAME, Entry, None)

holds_a_file, repair = RECORDS.exist, RECORDS.repair

_LOCKED: dict[Path, int] = {}
"""File and the process that locked it, by an open file. The system releases the lock when the
process ends, however it does; a fork of it has this table and the file, but may not write."""


def lock(folder: Path, file_name: str = FILE_NAME) -> None:
    """Make this process the only one that writes to a folder's file, for as long as it lives.

    Raises:
        UserError: another process writes to it, or it cannot be written to.
    """
    path = resolved(folder / file_name)
    if path in _LOCKED:
        _require_writer(folder, file_name)
        return
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = os.open(folder / file_name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    if fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(file)
            raise UserError(f"another attnbench is writing to {folder}") from error
    _LOCKED[path] = os.getpid()


def _require_writer(folder: Path, file_name: str = FILE_NAME) -> None:
    if _LOCKED.get(resolved(folder / file_name), os.getpid()) != os.getpid():
        raise UserError(
            f"cannot write to {folder}: this process is a fork of the one that opened its records"
        )


def append(folder: Path, record: Record) -> None:
    """Write one record and sync it to the disk, so that a killed run loses nothing finished.

    Raises:
        UserError: the folder cannot be written to, its run has another configuration, or this
            process is a fork of the one that locked it.
    """
    _require_writer(folder)
    line, first = record.as_json(), RECORDS.first(folder)
    if first is not None:
        if record.case != first.case:
            raise UserError(f"{folder} holds another configuration: {first.case.described}")
        del line["schema"], line["case"]
        line["environment"] = changed(first.environment, record.environment)
    (RECORDS if first is None else _LATER).append(folder, line)


def read(folder: Path) -> list[Record]:
    """Return the records of a folder, each with its case and whole environment.

    A last line that was cut off while it was written is left out.

    Raises:
        UserError: no such file, or a line that is not a record of this schema.
    """
    lines = RECORDS.lines(folder)
    if not lines:
        return []
    first = RECORDS.parse(*lines[0])
    return [first, *(_whole(_LATER.parse(*line), first) for line in lines[1:])]


def _whole(entry: Entry, first: Record) -> Record:
    environment = first.environment | entry.environment
    return replace(first, **vars(entry) | {"environment": environment})


def changed(before: Environment, now: Environment) -> Environment:
    """Return the facts that are others now; None for one that is missing now."""
    now = dict.fromkeys(before) | now
    # By their text, as 1, 1.0 and True are equal; an ellipsis is no fact.
    return {key: now[key] for key in now if repr(now[key]) != repr(before.get(key, ...))}


def runs_in(folder: Path) -> list[Path]:
    """Return the folders of runs that a folder holds: itself, or those in it, sorted by name.

    Raises:
        UserError: a first line that is not a record of this schema.
    """
    if RECORDS.first(folder):
        return [folder]
    with suppress(OSError):
        return [path for path in sorted(folder.iterdir()) if path.is_dir() and RECORDS.first(path)]
    return []


def has_files(folder: Path) -> bool:
    """Return whether there is such a folder and it is not empty.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return folder.is_dir() and any(folder.iterdir())
    except OSError as error:
        raise UserError(f"cannot read {folder}: {error.strerror}") from error


def new_folder(what: str) -> Path:
    """Make a new folder under ``reports/``, named by the date and what is in it.

    Raises:
        UserError: it cannot be made.
    """
    stem = f"{datetime.now(UTC):%Y-%m-%d}-{what}"
    for number in count(1):
        folder = Path("reports") / (stem if number == 1 else f"{stem}-{number}")
        with writing_to(folder), suppress(FileExistsError):
            folder.mkdir(parents=True)
            return folder
    raise AssertionError("count() has no end")


@contextmanager
def record_folder(file: JsonLines[Any], out: Path | None, name: str) -> Iterator[Path]:
    """Make the folder for a file's record before anything is computed.

    Without ``out`` it is a new one under ``reports/``, named by the date and ``name``. If the body
    raises, remove the files and folders created here that are still empty.

    Raises:
        UserError: the folder cannot be made or written to.
    """
    folder = out or new_folder(name)
    created = [folder] if out is None else [p for p in (out, *out.parents) if not p.exists()]
    try:
        file.begin(folder)
        yield folder
    except BaseException:
        path = folder / file.file_name
        with suppress(OSError):
            if path.stat().st_size == 0:
                path.unlink()
            for made in created:
                made.rmdir()  # raises if it is not empty
        raise
