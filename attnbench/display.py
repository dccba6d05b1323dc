"""The terminal: a progress bar with time left, and the tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console, Group
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from .records import Record, Round
from .runs import Run

STEP_S = {"counts": 1.5, "memory": 1.5, "warm-up": 1.0, "round": 0.0}
"""About what one step takes beside the timed rounds: only the bar's scale."""


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
        networks, variants = len(run.networks), len(run.plan.variants)
        steps = networks * (STEP_S["counts"] + STEP_S["memory"]) + variants * STEP_S["warm-up"]
        self._task = self._progress.add_task("starting", total=steps + run.plan.budget_s)
        done = STEP_S["counts"] * len(run.counts) + STEP_S["memory"] * len(run.memory)
        self._progress.update(self._task, completed=done + run.timed_s)
        self._current = "round"

    def announce(self, kind: str, variant: str | None) -> None:
        """Move on by the step that is over, and say which one begins."""
        what = f"round {len(self._run.rounds) + 1}" if variant is None else f"{kind}: {variant}"
        self._progress.update(self._task, advance=STEP_S[self._current], description=what)
        self._current = kind

    def watch(self, records: Iterator[Record]) -> Iterator[Record]:
        """Pass the records on; a round moves the bar by the seconds that it took."""
        with self._progress:
            for record in records:
                if isinstance(record.results, Round):
                    self._progress.update(self._task, advance=record.results.seconds)
                yield record
            self._progress.update(
                self._task, description="done", completed=self._progress.tasks[0].total
            )
