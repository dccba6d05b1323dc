"""The terminal: progress bars with the time left, tables, strict JSON, GitHub annotations."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from math import ceil, isinf
from pathlib import Path
from typing import Literal

from pydantic_core import to_jsonable_python
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text


def console() -> Console:
    """Return standard output; wide where no terminal sets a width, so that nothing is folded.

    Without emoji and markup: ``mine.py:Key:`` and ``[95%]`` are text.
    """
    terminal = Console(emoji=False, markup=False)
    if not terminal.is_terminal:
        terminal.width = 160
    return terminal


def table(
    caption: str, headings: Sequence[str], rows: Iterable[Sequence[str]], words: Sequence[str] = ()
) -> TextTable:
    """Return a plain table; the first column and ``words`` to the left, figures to the right."""
    return TextTable(caption, tuple(headings), tuple(map(tuple, rows)), frozenset(words))


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
        least, most = (
            [max(map(cell_len, pieces)) for pieces in map(split, columns)]
            for split in (self._unbroken, lambda column: column)
        )
        room = options.max_width
        # What is wider than the terminal has to be broken within words.
        least[0] = min(least[0], max(room // 2 - PADDING, 1))
        least[1:] = [min(width, max(room - least[0] - 2 * PADDING, 1)) for width in least[1:]]
        for part in _parts(least, room):
            widths = _widths([least[n] for n in part], [most[n] for n in part], room)
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
            pieces += [cell] if _FIGURE.match(cell) else cell.split()
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


def _widths(least: Sequence[int], most: Sequence[int], room: int) -> list[int]:
    """Return a width for each column: as wide as it would be, or shrunk as far as must be."""
    widths = list(most)
    excess = sum(widths) + PADDING * len(widths) - room
    while excess > 0:
        slack = [width - small for width, small in zip(widths, least, strict=True)]
        widest = max(range(len(widths)), key=lambda n: (slack[n] > 0, widths[n]))
        if slack[widest] <= 0:
            break
        widths[widest] -= 1
        excess -= 1
    return widths


@contextmanager
def images_bar(total: int, console: Console) -> Iterator[Callable[[str, int], None]]:
    """Show one bar over images; yield a function of the current step and the images done."""
    with progress_bar(console) as bar:
        task = bar.add_task("starting", total=total)

        def progress(step: str, done: int) -> None:
            if done == 0:
                bar.reset(task)
            bar.update(task, completed=done, description=step, refresh=True)

        yield progress


class SecondsLeft(ProgressColumn):
    """What is left of a bar that is scaled in seconds: steady, whatever the last step took."""

    def render(self, task: Task) -> Text:
        """Return ``0:01:40``; nothing where the length is not known."""
        left = "-:--:--" if task.remaining is None else str(timedelta(seconds=ceil(task.remaining)))
        return Text(left, style="progress.remaining")


def progress_bar(console: Console, *, in_seconds: bool = False) -> Progress:
    """A bar that is drawn when it is updated, and not by a thread while something is timed.

    ``in_seconds``: its length is the seconds that everything is expected to take.
    """
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("left"),
        SecondsLeft() if in_seconds else TimeRemainingColumn(),
        console=console,
        auto_refresh=False,
    )


def json_text(data: object) -> str:
    """Return dataclasses or plain data as strict JSON, indented; infinite numbers are null."""
    return json.dumps(_finite(to_jsonable_python(data)), indent=2, allow_nan=False)


def _finite(data: object) -> object:
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and isinf(data) else data


def annotation(name: str, message: str) -> str:
    """Return a line that GitHub shows as an error of the step."""
    escapes = {ord("%"): "%25", ord("\r"): "%0D", ord("\n"): "%0A"}
    title = name.translate(escapes | {ord(":"): "%3A", ord(","): "%2C"})
    return f"::error title=attnbench {title}::{message.translate(escapes)}"


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a pipe table, all columns to the left."""
    lines = [headings, [":--"] * len(headings), *rows]
    return "\n".join(
        "| " + " | ".join(text.replace("|", r"\|") for text in line) + " |" for line in lines
    )


def github_text(failures: Iterable[tuple[str, str]], headline: str, table: str) -> str:
    """Return what to print: an annotation of each failure's name and message, and the headline.

    The table goes to the step's summary where there is one.
    """
    annotations = [annotation(name, message) for name, message in failures]
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(table)
    return "\n".join([*annotations, headline, *([] if summary else ["", table])])


def complain(*messages: str) -> None:
    """Print each message as one line on stderr."""
    for message in messages:
        print(f"attnbench: {' '.join(message.split())}", file=sys.stderr)
