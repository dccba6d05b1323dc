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
from typing import IO, Any, Literal, cast

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

from attnbench.errors import UserError
from attnbench.files import append_whole
from attnbench.text import markdown_text, no_command, printable, visible


class _Terminal(Console):
    """A console on which a name cannot move the cursor, change colours or turn the writing."""

    def render_str(self, text: str, **style: Any) -> Text:
        return super().render_str(visible(text), **style)


class _Log:
    """A stream to which no line is written that a CI's log would obey, wherever it was folded."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        return self._stream.write(no_command(text))


def console() -> Console:
    """Return standard output; wide where no terminal sets a width, so that nothing is folded.

    Without emoji and markup: ``mine.py:Key:`` and ``[95%]`` are text.
    """
    terminal = _Terminal(emoji=False, markup=False, file=cast("IO[str]", _Log(sys.stdout)))
    if not terminal.is_terminal:
        terminal.width = 160
    return terminal


def table(
    caption: str, headings: Sequence[str], rows: Iterable[Sequence[str]], words: Sequence[str] = ()
) -> TextTable:
    """Return a plain table; the first column and ``words`` to the left, figures to the right."""
    cells = tuple(tuple(map(printable, row)) for row in rows)
    return TextTable(printable(caption), tuple(headings), cells, frozenset(words))


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


class _Description(TextColumn):
    """What is being done, in which a module's name is text and no markup."""

    def render(self, task: Task) -> Text:
        return Text(printable(task.description))


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
        _Description(""),
        BarColumn(),
        TextColumn("{task.percentage:3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("left"),
        SecondsLeft() if in_seconds else TimeRemainingColumn(),
        console=console,
        auto_refresh=False,
    )


def json_text(data: object) -> str:
    """Return dataclasses or plain data as strict JSON, indented; infinite numbers are null.

    In ASCII, and with escapes for what a terminal or a CI's log would obey.
    """
    text = json.dumps(_finite(to_jsonable_python(data)), indent=2, allow_nan=False)
    return text.replace("\x7f", r"\u007f").replace("##[", r"#\u0023[")


def _finite(data: object) -> object:
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and isinf(data) else data


def annotation(name: str, message: str, file: str | None = None, line: int | None = None) -> str:
    """Return a line that GitHub shows as an error of the step, at a line of a file if given."""
    escapes = {ord("%"): "%25", ord("\r"): "%0D", ord("\n"): "%0A"}
    of_property = escapes | {ord(":"): "%3A", ord(","): "%2C"}
    title = name.translate(of_property)
    place = "" if file is None else f"file={file.translate(of_property)},line={line or 1},"
    text = visible(f"{place}title=attnbench {title}::{message.translate(escapes)}")
    return f"::error {no_command(text)}"


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a pipe table, all columns to the left."""
    heading, *others = ([*map(markdown_text, line)] for line in (headings, *rows))
    lines = [heading, [":--"] * len(headings), *others]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def github_text(annotations: Iterable[str], headline: str, table: str) -> str:
    """Return what to print: the annotation of each failure, and the headline.

    The table goes to the step's summary where there is one.
    """
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        try:
            append_whole(Path(summary), table.encode())
        except OSError as error:
            raise UserError(f"cannot write the step's summary: {error.strerror}") from error
    return "\n".join([*annotations, headline, *([] if summary else ["", table])])


def complain(*messages: str) -> None:
    """Print each message as one line on stderr."""
    for message in messages:
        print(f"attnbench: {no_command(printable(message))}", file=sys.stderr)
