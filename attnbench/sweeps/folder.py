"""The folder of a sweep: whole runs, those that are not finished, and what has happened.

    sweep.jsonl                what was planned, and each event, one line each
    NAME-DIGEST/               a finished run: its records.jsonl, as any run's
    unfinished/NAME-DIGEST/    a run that is being measured, or was interrupted
    lost/NAME-DIGEST-1/        what a machine had measured that another could not go on with

A run gets its final name when it is finished, so what reads runs sees whole ones alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from attnbench.errors import UserError
from attnbench.records import store
from attnbench.records.bounds import STRICT, Lost
from attnbench.records.jsonl import JsonLines, writing_to
from attnbench.sweeps.plan.configuration import Configuration

try:
    import fcntl
except ImportError:  # there is none on Windows
    fcntl = None  # type: ignore[assignment]

SCHEMA = 1

FILE_NAME, UNFINISHED, LOST = "sweep.jsonl", "unfinished", "lost"

State = Literal["waiting", "running", "done", "failed", "lost"]

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]*[A-Za-z0-9_-][A-Za-z0-9._-]*$")]
"""Of a configuration: that of its folder, which lies in the sweep's."""


def _local(time: str) -> str:
    try:
        datetime.fromisoformat(time).astimezone()
    except OverflowError as error:  # of the first and the last day of the calendar
        raise ValueError("time is a date that clocks can show") from error
    return time


Time = Annotated[str, AfterValidator(_local)]
"""As in ISO 8601."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Planned:
    """A configuration in a plan; ``seconds`` is about how long it takes at most."""

    name: Name
    described: str
    wanted: str
    seconds: Lost


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Plan:
    """What a driver was started for; the last one counts."""

    kind: Literal["plan"] = "plan"
    time: Time
    configurations: tuple[Planned, ...]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Happened:
    """What happened with a configuration: ``where`` names the slot, ``message`` says what failed.

    ``waiting``: for a slot, again. ``lost``: its machine was.
    """

    kind: Literal["event"] = "event"
    time: Time
    name: Name
    state: State
    where: str | None = None
    message: str | None = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Line:
    """A line of the file."""

    schema: int = SCHEMA
    entry: Annotated[Plan | Happened, Field(discriminator="kind")]


LINES = JsonLines(FILE_NAME, Line, SCHEMA, what="line of a sweep")


def now() -> str:
    """Return the time as the file has it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class SweepFolder:
    """A folder, of which one driver at a time is the writer."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    def open(self) -> None:
        """Make or take over the folder; this process is its only driver from now on.

        Raises:
            UserError: it holds other files, another driver writes to it, or it cannot be written.
        """
        if store.has_files(self.path) and not LINES.exist(self.path):
            raise UserError(f"{self.path} holds other files and no sweep; choose another --out")
        LINES.begin(self.path)
        self._lock = self._locked()
        if self._lock is None:
            raise UserError(f"another attnbench is running the sweep in {self.path}")
        LINES.repair(self.path)
        LINES.read(self.path)

    def close(self) -> None:
        """Let another driver take the folder over."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def is_driven(self) -> bool:
        """Whether a driver is running, as far as this machine can see."""
        lock = self._locked()
        if lock is not None:
            os.close(lock)
        return lock is None

    def _locked(self) -> int | None:
        with writing_to(self.path):
            file = os.open(self.path / FILE_NAME, os.O_RDONLY)
        if fcntl is None:
            return file
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            return None
        return file

    def plan(self, planned: Iterable[tuple[Configuration, float]]) -> None:
        """Store what is to be measured, with the seconds that each takes at most."""
        known = tuple(
            Planned(name=each.name, described=each.described, wanted=each.wanted, seconds=seconds)
            for each, seconds in planned
        )
        self._append(Plan(time=now(), configurations=known))

    def happened(
        self, name: str, state: State, where: str | None = None, message: str | None = None
    ) -> None:
        """Store an event."""
        self._append(Happened(time=now(), name=name, state=state, where=where, message=message))

    def _append(self, entry: Plan | Happened) -> None:
        LINES.append(self.path, asdict(Line(entry=entry)))

    def lines(self) -> Sequence[Plan | Happened]:
        """Return what the file holds.

        Raises:
            UserError: there is none, or it cannot be read.
        """
        return [line.entry for line in LINES.read(self.path)]

    def whole(self, name: str) -> Path:
        """Return the folder of a finished run, which may not be there yet."""
        return self.path / name

    def unfinished(self, name: str) -> Path:
        """Return the folder of a run that is being measured."""
        return self.path / UNFINISHED / name

    def is_whole(self, name: str) -> bool:
        """Return whether the run is finished."""
        return store.holds_a_file(self.whole(name))

    def records(self, name: str) -> bytes:
        """Return the whole lines of what an unfinished run has; nothing where it has not begun."""
        with suppress(OSError):
            data = (self.unfinished(name) / store.FILE_NAME).read_bytes()
            return data[: data.rfind(b"\n") + 1]
        return b""

    def repair(self, name: str) -> None:
        """Make the records of an unfinished run end in a whole line."""
        if store.holds_a_file(self.unfinished(name)):
            store.repair(self.unfinished(name))

    def put(self, name: str, offset: int, data: bytes) -> None:
        """Add bytes to an unfinished run's records, those of them that are not there yet.

        They begin at ``offset``. Bytes beyond a gap are left out: all come again at the end.

        Raises:
            UserError: they cannot be written.
        """
        place = self.unfinished(name)
        with writing_to(place):
            place.mkdir(parents=True, exist_ok=True)
            with (place / store.FILE_NAME).open("ab", buffering=0) as file:
                there = file.tell()
                if offset <= there:
                    file.write(data[there - offset :])
                    os.fsync(file.fileno())

    def finish(self, name: str) -> None:
        """Give a finished run its final name; a run that has it already stays.

        Raises:
            UserError: it cannot be renamed.
        """
        with writing_to(self.path):
            if self.is_whole(name):
                self.set_aside(name)
            else:
                self.unfinished(name).rename(self.whole(name))
                with suppress(OSError):  # it holds others
                    (self.path / UNFINISHED).rmdir()

    def set_aside(self, name: str) -> None:
        """Keep an unfinished run's records where nothing goes on with them.

        Raises:
            UserError: they cannot be moved.
        """
        if not self.unfinished(name).exists():
            return
        with writing_to(self.path):
            (self.path / LOST).mkdir(exist_ok=True)
            aside = (self.path / LOST / f"{name}-{number}" for number in count(1))
            free = next(place for place in aside if not place.exists())
            self.unfinished(name).rename(free)
