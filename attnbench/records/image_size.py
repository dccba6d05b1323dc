"""The size of an image: a number where it is square, else (height, width)."""

from __future__ import annotations

import re

Size = int | tuple[int, int]
"""Pixels. A square is always a single number, so that equal sizes compare equal."""


MOST_SHOWN = 100
"""Characters of a text that is no size, in a message."""


def parse(text: str) -> Size:
    """Parse ``224`` or ``800x1333`` (height, then width).

    Raises:
        ValueError: the text is neither.
    """
    match = re.fullmatch(r"([0-9]+)(?:[xX]([0-9]+))?", text.strip())
    if match is None:
        raise ValueError(f"'{text[:MOST_SHOWN]}' is not an image size such as 224 or 800x1333")
    return of(int(match[1]), int(match[2] or match[1]))


def of(height: int, width: int) -> Size:
    """Return the size with that height and width."""
    return height if height == width else (height, width)


def sides(size: Size) -> tuple[int, int]:
    """Return height and width."""
    return (size, size) if isinstance(size, int) else size


def written(size: Size) -> str:
    """Return the size as it is printed: ``224x224``, ``800x1333``."""
    height, width = sides(size)
    return f"{height}x{width}"


def option(size: Size) -> str:
    """Return the size as options, folders and columns have it: ``224``, ``800x1333``."""
    return str(size) if isinstance(size, int) else written(size)
