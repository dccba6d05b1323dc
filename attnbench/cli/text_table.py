"""A table in a terminal, which breaks lines where a reader can stand it, at any width."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True)
class TextTable:
    """A table that breaks lines between words alone, and never within a figure's interval.

    Where the terminal is too narrow for that, further columns follow in a part of their own, which
    begins with the first column again.
    """

    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: frozenset[str]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(self.caption, style="italic")
        columns = list(zip(self.headings, *self.rows, strict=True))
        least, cells, most = (
            [max(map(cell_len, pieces), default=0) for pieces in map(split, columns)]
            for split in (self._unbroken, lambda column: column[1:], lambda column: column)
        )
        room = options.max_width
        # What is wider than the terminal has to be broken within words.
        least[0] = min(least[0], max(room // 2 - PADDING, 1))
        least[1:] = [min(width, max(room - least[0] - 2 * PADDING, 1)) for width in least[1:]]
        for part in _parts(least, room):
            widths = _widths(
                [least[n] for n in part], [cells[n] for n in part], [most[n] for n in part], room
            )
            plain = Table(box=None, header_style="bold")
            for number, width in zip(part, widths, strict=True):
                left = number == 0 or self.headings[number] in self.words
                justify: Literal["left", "right"] = "left" if left else "right"
                plain.add_column(
                    self.headings[number], justify=justify, overflow="fold", width=width
                )
            for row in self.rows:
                plain.add_row(*(row[number] for number in part))
            yield plain

    def _unbroken(self, column: Sequence[str]) -> list[str]:
        """Return what stays on one line: words, and whole cells that are figures."""
        heading, *cells = column
        pieces = heading.split() or [""]
        for cell in cells:
            whole = heading not in self.words and _FIGURE.match(cell)
            pieces += [cell] if whole else cell.split()
        return [piece[:LONGEST_WORD] for piece in pieces]


_FIGURE = re.compile(r"[=?] |[-+]?\d")
LONGEST_WORD = 40
"""Characters of a word that is not broken in a terminal: a path may be longer than any."""


def _parts(least: Sequence[int], room: int) -> Iterator[list[int]]:
    """Yield the columns of each part, as many as fit; each part begins with the first column."""
    part = [0]
    for number in range(1, len(least)):
        if len(part) > 1 and sum(least[n] + PADDING for n in (*part, number)) > room:
            yield part
            part = [0]
        part.append(number)
    yield part


PADDING = 2
"""Of a column, left and right together."""


def _widths(
    least: Sequence[int], cells: Sequence[int], most: Sequence[int], room: int
) -> list[int]:
    """Return a width for each column: as wide as it would be, or shrunk as far as must be.

    Headings break before cells do.
    """
    widths = list(most)
    for floor in (list(map(max, least, cells)), least):
        excess = sum(widths) + PADDING * len(widths) - room
        while excess > 0:
            slack = [width - small for width, small in zip(widths, floor, strict=True)]
            widest = max(range(len(widths)), key=lambda n: (slack[n] > 0, widths[n]))
            if slack[widest] <= 0:
                break
            widths[widest] -= 1
            excess -= 1
    return widths
