"""The terminal: a progress bar with time left, and the tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console, Group
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from .records import Record
from .runs import Run

STEP_S = {"counts": 1.0, "memory": 1.5, "latency": 1.5}
"""About what one variant's counts, memory and warm-up take: only the bar's scale."""


def console() -> Console:
    """Standard output; wide where no terminal sets a width, so that nothing is folded."""
    shown = Console()
    return shown if shown.is_terminal else Console(width=160)


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


class Bar:
    """One bar over a whole run, scaled in seconds that the steps are expected to take."""

    def __init__(self, run: Run, console: Console) -> None:
        self._run = run
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
        )
        statics = len(run.networks) * (STEP_S["counts"] + STEP_S["memory"])
        total = statics + len(run.plan.variants) * STEP_S["latency"] + run.plan.budget_s
        self._task = self._progress.add_task("starting", total=total)

    def announce(self, what: str) -> None:
        """Say what is about to be done."""
        self._progress.update(self._task, description=what)

    def watch(self, records: Iterator[Record]) -> Iterator[Record]:
        """Pass the records on and move the bar by what each was worth."""
        with self._progress:
            for record in records:
                self._progress.update(self._task, completed=self._done())
                yield record
            self._progress.update(
                self._task, description="done", completed=self._progress.tasks[0].total
            )

    def _done(self) -> float:
        run = self._run
        done = STEP_S["counts"] * len(run.counts) + STEP_S["memory"] * len(run.memory)
        warmed = len(run.plan.variants) if run.rounds else 0
        return done + STEP_S["latency"] * warmed + min(run.timed_s, run.plan.budget_s)
