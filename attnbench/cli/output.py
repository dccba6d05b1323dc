"""The terminal: progress bars with the time left, tables, strict JSON, GitHub annotations."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from math import ceil, isinf
from pathlib import Path
from typing import IO, Any, cast

from pydantic_core import to_jsonable_python
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from attnbench.cli.text_table import TextTable
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


def console(*, stderr: bool = False) -> Console:
    """Return standard output or error; wide where no terminal sets a width, so nothing is folded.

    Without emoji and markup: ``mine.py:Key:`` and ``[95%]`` are text.
    """
    stream = cast("IO[str]", _Log(sys.stderr if stderr else sys.stdout))
    terminal = _Terminal(emoji=False, markup=False, file=stream)
    if not terminal.is_terminal:
        terminal.width = 160
    return terminal


def table(
    caption: str, headings: Sequence[str], rows: Iterable[Sequence[str]], words: Sequence[str] = ()
) -> TextTable:
    """Return a plain table; the first column and ``words`` to the left, figures to the right."""
    cells = tuple(tuple(map(printable, row)) for row in rows)
    return TextTable(printable(caption), tuple(headings), cells, frozenset(words))


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
        if task.remaining is None:
            return Text("-:--:--", style="progress.remaining")
        seconds = max(0, ceil(task.remaining))  # the last round ends after the budget
        return Text(str(timedelta(seconds=seconds)), style="progress.remaining")


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
