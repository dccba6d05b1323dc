"""Files of one JSON object a line: append and sync, read back, say exactly what is wrong."""

from __future__ import annotations

import errno
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from attnbench.errors import UserError
from attnbench.files import append_whole
from attnbench.records.options.fault import fault
from attnbench.text import printable

MOST = 300
"""Characters of foreign text in a message."""

T = TypeVar("T")


@contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Turn an OSError of the body into a UserError that names the folder."""
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}") from error


@dataclass(frozen=True)
class JsonLines(Generic[T]):
    """The file of one name in a folder. Each line is an object of one kind.

    Methods raise a UserError that names the file, or folder, where it cannot be read or written;
    and the line that is not JSON, or not of this kind and schema.
    """

    file_name: str
    kind: type[T]
    schema: int | None
    """What each line states as its ``schema``; None for lines that state none."""
    what: str = "record"
    """What a line is called in messages."""
    oldest: int | None = None
    """The oldest schema that is read too; None where it is the only one."""
    older: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    """Returns an object of an older schema that is read too as one of this schema's fields."""
    stated: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Fields of an object's objects that each line states, whatever their defaults, from the schema
    that they came with."""
    upgrade: str = ""
    """What to do with an older schema, as the end of a message."""

    @cached_property
    def _reader(self) -> TypeAdapter[T]:
        return TypeAdapter(self.kind)

    def begin(self, folder: Path) -> None:
        """Make folder and file where they are missing, and check that they can be written to."""
        with writing_to(folder):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / self.file_name).open("a", encoding="utf-8").close()

    def append(self, folder: Path, data: dict[str, Any]) -> None:
        """Write one line and sync it to the disk.

        What could not be read back is refused, and nothing is written. Where the line cannot be
        written whole, what was written of it is removed: the next one begins on its own line.

        Raises:
            ValueError: a number that JSON does not have (NaN, infinity).
        """
        text = json.dumps(data, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        line = text.encode(errors="replace")
        self.parse(line, f"{folder / self.file_name}, a new line")
        self.begin(folder)
        with writing_to(folder):
            append_whole(folder / self.file_name, line + b"\n")

    def add(self, folder: Path, item: T) -> None:
        """Append an object as one line; an unfinished last line is removed first."""
        if self.exist(folder):
            self.repair(folder)
        self.append(folder, self._reader.dump_python(item))

    def stored(self, folder: Path) -> tuple[T, ...]:
        """Return the objects of the folder's file, none where it has no such file."""
        return tuple(self.read(folder)) if self.exist(folder) else ()

    def read(self, folder: Path) -> list[T]:
        """Return the objects of the folder's file, which must exist."""
        return [self.parse(*line) for line in self.lines(folder)]

    def first(self, folder: Path) -> T | None:
        """Return the object on the first line; None without a file or a whole line."""
        lines = self.lines(folder, 1) if self.exist(folder) else []
        return self.parse(*lines[0]) if lines else None

    def lines(self, folder: Path, most: int | None = None) -> list[tuple[bytes, str]]:
        """Return the whole lines, at most ``most``, each with its place (``FILE, line 3``).

        A last line that was cut off while it was written is left out.
        """
        path = folder / self.file_name
        numbered = enumerate(_lines(path, most), 1)
        return [(line, f"{path}, line {number}") for number, line in numbered if not _torn(line)]

    def exist(self, folder: Path) -> bool:
        """Return whether the file is there, even if it holds no whole line yet."""
        return os.path.isfile(folder / self.file_name)  # noqa: PTH113  Path's raises on no access

    def repair(self, folder: Path) -> None:
        """Make the file end in a whole line, so that lines can be appended; change none."""
        path = folder / self.file_name
        last = (_lines(path) or [b"\n"])[-1]
        with writing_to(folder):
            if _torn(last):
                os.truncate(path, path.stat().st_size - len(last))
            elif not last.endswith(b"\n"):
                with path.open("ab") as file:
                    file.write(b"\n")

    def parse(self, line: bytes, where: str) -> T:
        """Return the object that a line holds; ``where`` names its place in messages."""
        try:
            data = json.loads(line, object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{where}: not JSON ({error})") from error
        if not isinstance(data, dict):
            raise UserError(f"{where}: not an attnbench {self.what}")
        stated = data.get("schema")
        if not self._reads(stated):
            raise UserError(f"{where}: {self._schema_fault(stated)}")
        for key, since in self.stated.items():
            names = {name for name, schema in since.items() if schema <= (stated or 0)}
            if isinstance(part := data.get(key), dict) and (missing := names - part.keys()):
                raise UserError(f"{where}: {key}.{min(missing)} is missing")
        if self.older is not None and stated != self.schema:
            data = self.older(data)
            line = json.dumps(data).encode()
        try:
            return self._reader.validate_json(line, strict=True)
        except ValidationError as error:
            raise UserError(f"{where}: {fault(error, data, self.what)}") from error

    def _reads(self, stated: Any) -> bool:
        if self.schema is None or self.oldest is None or type(stated) is not int:
            return stated == self.schema and not isinstance(stated, bool)
        return self.oldest <= stated <= self.schema

    def _schema_fault(self, stated: object) -> str:
        if self.schema is None:
            return "a schema again: these are two files in one"
        if not isinstance(stated, int) or isinstance(stated, bool):
            return f"not an attnbench {self.what} (it states no schema)"
        advice = self.upgrade if stated < self.schema else ""
        return f"schema {stated}; this attnbench reads schema {self.schema}{advice}"


def _lines(path: Path, most: int | None = None) -> list[bytes]:
    try:
        with path.open("rb") as file:
            return list(islice(file, most))
    except OSError as error:
        missing = f"; name a folder that holds {path.name}, or one whose folders do"
        advice = missing if error.errno == errno.ENOENT else ""
        raise UserError(f"cannot read {path}: {error.strerror}{advice}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        repeated = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the field {printable(repeated, MOST)!r} twice in one object")
    return data


def _torn(line: bytes) -> bool:
    """Return whether a last line was cut off: without its end, and no whole JSON."""
    if line.endswith(b"\n"):
        return False
    with suppress(ValueError, RecursionError):
        json.loads(line)
        return False
    return True
