"""The line of a file on which a key of TOML stands: ``tomllib`` knows it only of errors."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from typing import Any

Path = Sequence[str | int]
"""Keys and places in lists, from the top: ``("grid", 1, "host")``."""

_AT_LINE = re.compile(r"\(at line (\d+), column \d+\)$")


def of_error(error: tomllib.TOMLDecodeError, text: str) -> int:
    """Return the line that a syntax error names; the last one where it names the end."""
    known = _AT_LINE.search(str(error))
    return int(known[1]) if known else max(len(text.splitlines()), 1)


def of_key(text: str, path: Path, value: object = None) -> int:
    """Return the line, from 1, on which a valid document states a key.

    The statement is found by the parser itself: it ends with the first line up to which the
    document is valid and has the key. Of a statement of several lines, the line that holds
    ``value`` is returned, if one does.
    """
    lines = text.splitlines()
    begun = 0
    for number in range(1, len(lines) + 1):
        try:
            known = tomllib.loads("\n".join(lines[:number]) + "\n")
        except tomllib.TOMLDecodeError:
            continue  # within a statement of several lines
        if _has(known, path):
            return _within(lines, begun, number, value)
        begun = number
    return 1


def _has(data: Any, path: Path) -> bool:
    for step in path:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _within(lines: Sequence[str], begun: int, end: int, value: object) -> int:
    statement = range(begun, end)
    if value is not None:
        word = re.compile(rf"(?<![\w.-]){re.escape(str(value))}(?![\w.-])")
        for number in statement:
            if word.search(lines[number].partition("#")[0]):
                return number + 1
    return next(number for number in statement if lines[number].strip()) + 1
