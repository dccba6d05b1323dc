"""Files of one JSON object a line: append and flush, read back, say exactly what is wrong."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from attnbench.errors import UserError

T = TypeVar("T")


@dataclass(frozen=True)
class Lines(Generic[T]):
    """The file of that name in a folder: a line an object of one kind, which states a schema."""

    file_name: str
    kind: type[T]
    schemas: tuple[int, ...]
    what: str = "record"
    """What one line is called in messages."""

    @cached_property
    def _reader(self) -> TypeAdapter[T]:
        return TypeAdapter(self.kind)

    def begin(self, folder: Path) -> None:
        """Make folder and file where there are none, and see that they can be written to.

        Raises:
            UserError: they cannot.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / self.file_name).open("a", encoding="utf-8").close()
        except OSError as error:
            raise UserError(f"cannot write to {folder}: {error.strerror}") from error

    def append(self, folder: Path, data: dict[str, Any]) -> None:
        """Write one line and see it onto the disk, so that nothing finished can be lost.

        Raises:
            UserError: the folder cannot be written to.
        """
        line = json.dumps(data, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / self.file_name
            with path.open("a", encoding="utf-8", errors="replace") as file:
                file.write(line + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise UserError(f"cannot write to {folder}: {error.strerror}") from error

    def read(self, folder: Path) -> list[T]:
        """What the folder's file holds.

        A last line that was cut off while it was written is left out: nothing was finished there.

        Raises:
            UserError: no such file, or a line that is not of this kind and schema.
        """
        path = folder / self.file_name
        lines = _lines(path)
        if lines and _torn(lines[-1]):
            lines.pop()
        return [self._parse(line, f"{path}, line {number}") for number, line in enumerate(lines, 1)]

    def exist(self, folder: Path) -> bool:
        """Whether the file was at least begun here, perhaps within its first line."""
        path = folder / self.file_name
        return os.path.isfile(path)  # noqa: PTH113  Path's raises where it may not look

    def repair(self, folder: Path) -> None:
        """Make the file end in a whole line, so that lines can be appended.

        Raises:
            UserError: the file cannot be read or written. No whole line is ever touched.
        """
        path = folder / self.file_name
        last = (_lines(path) or [b"\n"])[-1]
        try:
            if _torn(last):
                os.truncate(path, path.stat().st_size - len(last))
            elif not last.endswith(b"\n"):
                with path.open("ab") as file:
                    file.write(b"\n")
        except OSError as error:
            raise UserError(f"cannot write to {folder}: {error.strerror}") from error

    def _parse(self, line: bytes, where: str) -> T:
        try:
            data: Any = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{where}: not JSON ({error})") from error
        schema = data.get("schema") if isinstance(data, dict) else None
        if not isinstance(schema, int) or isinstance(schema, bool):
            raise UserError(f"{where}: not an attnbench {self.what} (it states no schema)")
        if schema not in self.schemas:
            known = " and ".join(map(str, self.schemas))
            raise UserError(f"{where}: schema {schema}; this attnbench reads schema {known}")
        try:
            return self._reader.validate_json(line, strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise UserError(f"{where}: {field or self.what}: {first['msg']}") from error


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
