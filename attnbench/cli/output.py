"""The terminal: progress bars with the time left, tables, strict JSON, GitHub annotations."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from math import isinf
from pathlib import Path

from pydantic_core import to_jsonable_python
from rich.console import Console, Group
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
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
) -> Group:
    """Return a plain table; the first column and ``words`` to the left, figures to the right."""
    plain = Table(box=None, header_style="bold")
    for heading in headings:
        left = heading == headings[0] or heading in words
        plain.add_column(heading, justify="left" if left else "right", overflow="fold")
    for row in rows:
        plain.add_row(*row)
    return Group(Text(caption, style="italic"), plain)


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


def progress_bar(console: Console) -> Progress:
    """A bar that is drawn when it is updated, and not by a thread while something is timed."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
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


def annotation(name: str, message: str, file: str | None = None, line: int | None = None) -> str:
    """Return a line that GitHub shows as an error of the step, at a line of a file if given."""
    escapes = {ord("%"): "%25", ord("\r"): "%0D", ord("\n"): "%0A"}
    of_property = escapes | {ord(":"): "%3A", ord(","): "%2C"}
    title = name.translate(of_property)
    place = "" if file is None else f"file={file.translate(of_property)},line={line or 1},"
    return f"::error {place}title=attnbench {title}::{message.translate(escapes)}"


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a pipe table, all columns to the left."""
    lines = [headings, [":--"] * len(headings), *rows]
    return "\n".join(
        "| " + " | ".join(text.replace("|", r"\|") for text in line) + " |" for line in lines
    )


def github_text(annotations: Iterable[str], headline: str, table: str) -> str:
    """Return what to print: the annotation of each failure, and the headline.

    The table goes to the step's summary where there is one.
    """
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(table)
    return "\n".join([*annotations, headline, *([] if summary else ["", table])])


def complain(*messages: str) -> None:
    """Print each message as one line on stderr."""
    for message in messages:
        print(f"attnbench: {' '.join(message.split())}", file=sys.stderr)
