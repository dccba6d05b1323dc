"""The file ``trainings.jsonl`` of a folder: one process writes, all read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from attnbench.errors import UserError
from attnbench.records import store
from attnbench.records.jsonl import JsonLines
from attnbench.records.trainings.schema import SCHEMA, Entry, Training, Trainings, as_json

FILE_NAME = "trainings.jsonl"

_FIRST = JsonLines(FILE_NAME, Training, SCHEMA, "training")
_LATER = JsonLines(FILE_NAME, Entry, None, "training")

exist = _FIRST.exist


def lock(folder: Path) -> None:
    """Make this process the only one that writes to the folder's file, as long as it lives.

    Raises:
        UserError: another process does, or it cannot be written to.
    """
    store.lock(folder, FILE_NAME)


def begin(folder: Path, training: Training) -> None:
    """Write the first line to a file that holds none yet; remove one that was cut off.

    Raises:
        UserError: the folder cannot be written to.
    """
    _FIRST.begin(folder)
    _FIRST.repair(folder)
    _FIRST.append(folder, as_json(training))


def append(folder: Path, entry: Entry, first: Training) -> None:
    """Write one line with those facts alone that differ from the first line's.

    Raises:
        UserError: it cannot be written whole; then nothing of it is there.
    """
    changed = store.changed(first.environment, entry.environment) if entry.environment else {}
    _LATER.append(folder, as_json(replace(entry, environment=changed)))


def repair(folder: Path) -> None:
    """Remove a last line that was cut off while it was written."""
    _FIRST.repair(folder)


def first(folder: Path) -> Training | None:
    """Return the first line; None without a file or a whole line."""
    return _FIRST.first(folder)


def read(folder: Path) -> Trainings | None:
    """Return the trainings in a folder; None where it has no such file, or an empty one.

    Raises:
        UserError: a line that cannot be one, or cannot follow those before it.
    """
    lines = _FIRST.lines(folder) if _FIRST.exist(folder) else []
    if not lines:
        return None
    trainings = Trainings(_FIRST.parse(*lines[0]))
    for line, where in lines[1:]:
        try:
            trainings.add(_LATER.parse(line, where))
        except ValueError as error:
            raise UserError(f"{where}: {error}") from error
    return trainings


def in_folder(folder: Path) -> dict[Path, Trainings]:
    """Return the trainings of a folder and of those in it, sorted by name.

    Raises:
        UserError: as of :func:`read`.
    """
    places = [folder]
    if folder.is_dir():
        places += sorted(path for path in folder.iterdir() if path.is_dir())
    return {place: known for place in places if (known := read(place)) is not None}
