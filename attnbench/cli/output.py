"""The terminal: progress bars with the time left, tables, strict JSON, GitHub annotations."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from math import isinf
from pathlib import Path

from rich.console import Console, Group
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from attnbench.measuring.events import Beginning, Event
from attnbench.records.run import Run
from attnbench.records.schema import End, Record, Round

STEP_S = {"counts": 1.5, "memory": 2.5, "warm-up": 1.0}
"""About what one step takes beside the timed rounds: only the bar's scale."""


def console() -> Console:
    """Return standard output; wide where no terminal sets a width, so that nothing is folded.

    Without emoji: ``mine.py:Key:`` is a name.
    """
    terminal = Console(emoji=False)
    return terminal if terminal.is_terminal else Console(width=160, emoji=False)


def table(
    caption: str, headings: Sequence[str], rows: Iterable[Sequence[str]], words: Sequence[str] = ()
) -> Group:
    """Return a plain table; the first column and ``words`` to the left, figures to the right."""
    plain = Table(box=None, header_style="bold")
    for heading in headings:
        left = heading == headings[0] or heading in words
        plain.add_column(heading, justify="left" if left else "right", overflow="fold")
    for row in rows:
        plain.add_row(*map(escape, row))
    return Group(Text(caption, style="italic"), plain)


@contextmanager
def images_bar(total: int, console: Console) -> Iterator[Callable[[str, int], None]]:
    """Show one bar over images; yield a function of the current step and the images done."""
    with _progress(console) as bar:
        task = bar.add_task("starting", total=total)

        def progress(step: str, done: int) -> None:
            if done == 0:
                bar.reset(task)
            bar.update(task, completed=done, description=step, refresh=True)

        yield progress


def _progress(console: Console) -> Progress:
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


class Bar:
    """One bar over all runs, scaled in seconds that their steps are expected to take.

    It is drawn when something has happened and not between, when something is being timed.
    """

    def __init__(self, runs: Sequence[Run], console: Console) -> None:
        self._runs = list(runs)
        self._progress = _progress(console)
        total = sum(map(_expected_s, self._runs))
        self._task = self._progress.add_task("starting", total=total)
        self._done = {id(run): _done_s(run) for run in self._runs}

    def watch(self, events: Iterable[tuple[Run, Event]]) -> Iterator[tuple[Run, Record]]:
        """Pass the records on; what begins, and what a round took, moves the bar."""
        with self._progress:
            for run, event in events:
                self._move(run, event)
                if not isinstance(event, Beginning):
                    yield run, event

    def _move(self, run: Run, event: Event) -> None:
        what = None
        if isinstance(event, Beginning):
            what = self._described(run, event)
            self._done[id(run)] += STEP_S.get(event.kind, 0.0)
        elif isinstance(event.results, Round):
            self._done[id(run)] += event.results.seconds
        elif isinstance(event.results, End):
            what, self._done[id(run)] = "done", _expected_s(run)
        done = sum(self._done.values())
        self._progress.update(self._task, completed=done, description=what, refresh=True)

    def _described(self, run: Run, event: Beginning) -> str:
        what = f"{event.kind} {event.variant or len(run.rounds) + 1}"
        if len(self._runs) == 1:
            return what
        place = next(n for n, each in enumerate(self._runs, start=1) if each is run)
        return f"{place} of {len(self._runs)}: {what}"


def _expected_s(run: Run) -> float:
    steps = {
        "counts": len(run.counted),
        "memory": len(run.networks),
        "warm-up": len(run.plan.variants),
    }
    return run.plan.budget_s + sum(STEP_S[kind] * times for kind, times in steps.items())


def _done_s(run: Run) -> float:
    if run.end is not None:
        return _expected_s(run)
    counted, measured = STEP_S["counts"] * len(run.counts), STEP_S["memory"] * len(run.memory)
    return counted + measured + run.timed_s


def json_text(data: object) -> str:
    """Return the data as strict JSON, indented; infinite numbers are null."""
    return json.dumps(_finite(data), indent=2, allow_nan=False)


def _finite(data: object) -> object:
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and isinf(data) else data


def annotation(name: str, message: str) -> str:
    """Return a line that GitHub shows as an error of the step."""
    return f"::error title=attnbench {_property(name)}::{_message(message)}"


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


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


def complain(message: str) -> None:
    """Print the message as one line on stderr."""
    print(f"attnbench: {' '.join(message.split())}", file=sys.stderr)
