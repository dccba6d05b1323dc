"""The size of an image: a number where it is square, else height and width. Standard library only.

One word for people (``224x224``, ``800x1333``) and one for options, folders and columns
(``224``, ``800x1333``).
"""

from __future__ import annotations

import re

Size = int | tuple[int, int]
"""Pixels. A square is always a single number, so that a size is written in one way only."""

_WORD = re.compile(r"(?P<height>[0-9]+)(?:[xX](?P<width>[0-9]+))?")


def parse(text: str) -> Size:
    """``224``, or height and width as in ``800x1333``.

    Raises:
        ValueError: neither.
    """
    word = _WORD.fullmatch(text.strip())
    if word is None:
        raise ValueError(f"'{text}' is no size such as 224 or 800x1333")
    height = int(word["height"])
    return of(height, int(word["width"] or height))


def of(height: int, width: int) -> Size:
    """The size with that height and width."""
    return height if height == width else (height, width)


def sides(size: Size) -> tuple[int, int]:
    """Height and width."""
    return (size, size) if isinstance(size, int) else size


def written(size: Size) -> str:
    """For people: ``224x224``, ``800x1333``."""
    height, width = sides(size)
    return f"{height}x{width}"


def option(size: Size) -> str:
    """As an option takes it: ``224``, ``800x1333``."""
    return str(size) if isinstance(size, int) else written(size)
