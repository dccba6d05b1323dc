"""The terminal: a progress bar with time left, and the tables."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console, Group
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text


def console() -> Console:
    """Standard output; wide where no terminal sets a width, so that nothing is folded.

    Without emoji: ``mine.py:Key:`` is a name.
    """
    shown = Console(emoji=False)
    return shown if shown.is_terminal else Console(width=160, emoji=False)


def table(
    caption: str, headings: Sequence[str], rows: Iterable[Sequence[str]], words: Sequence[str] = ()
) -> Group:
    """A plain table; the first column and ``words`` to the left, figures to the right."""
    shown = Table(box=None, header_style="bold")
    for heading in headings:
        left = heading == headings[0] or heading in words
        shown.add_column(heading, justify="left" if left else "right", overflow="fold")
    for row in rows:
        shown.add_row(*map(escape, row))
    return Group(Text(caption, style="italic"), shown)


@contextmanager
def images_bar(total: int, console: Console) -> Iterator[Callable[[str, int], None]]:
    """One bar over images; what it gives is told what goes on and how many are done."""
    with progress_bar(console) as progress:
        task = progress.add_task("starting", total=total)

        def told(what: str, done: int) -> None:
            if done == 0:
                progress.reset(task)
            progress.update(task, completed=done, description=what, refresh=True)

        yield told


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


def annotation(name: str, message: str) -> str:
    """A line that GitHub shows as an error of the step."""
    return f"::error title=attnbench {_property(name)}::{_message(message)}"


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A pipe table, all columns to the left."""
    lines = [headings, [":--"] * len(headings), *rows]
    return "\n".join(
        "| " + " | ".join(text.replace("|", r"\|") for text in line) + " |" for line in lines
    )


def said(annotations: Sequence[str], headline: str, table: str) -> str:
    """What to print; the table goes to the step's summary where there is one."""
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(table)
    return "\n".join([*annotations, headline, *([] if summary else ["", table])])


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


def complain(message: str) -> None:
    """Print one line on stderr, whatever the message holds."""
    print(f"attnbench: {' '.join(message.split())}", file=sys.stderr)
