"""The progress bar of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from attnbench import formatting
from attnbench.cli import output
from attnbench.cli.run import forecast
from attnbench.cli.run.forecast import STEP_S
from attnbench.records.run import Run
from attnbench.records.schema import End, Record, Round

if TYPE_CHECKING:
    from attnbench.measuring.events import Event, Waiting


class Bar:
    """One progress bar over all runs, scaled in seconds that their steps are expected to take.

    It is drawn when something has happened and not between, when something is being timed.
    """

    def __init__(self, console: Console) -> None:
        self.runs: list[Run] = []
        self._done_s: list[float] = []
        self._progress = output.progress_bar(console, in_seconds=True)
        self._task = self._progress.add_task("starting", total=0)

    def close(self) -> None:
        """Stop the bar if it was ever drawn; else this would print an empty line."""
        if self._progress.live.is_started:
            self._progress.stop()

    def add(self, run: Run) -> None:
        """Lengthen the bar by a run, of which an earlier call may have done a part."""
        self.runs.append(run)
        steps_s = STEP_S["counts"] * len(run.counts) + STEP_S["memory"] * len(run.memory)
        steps_s += STEP_S["profile"] * len(run.profile) * run.profiling
        steps_s += STEP_S["energy"] * len(run.energy) * len(run.plan.variants)
        self._done_s.append(_expected_s(run) if run.end else steps_s + run.timed_s)
        self._progress.reset(self._task, total=sum(map(_expected_s, self.runs)))

    def wait(self, event: Waiting) -> None:
        """Show how long it is until the next repetition, or that another process measures."""
        self._progress.start()
        text = "waiting" if event.holder else f"waiting {formatting.seconds(event.left_s)}"
        self._progress.update(self._task, description=text, refresh=True)

    def show(self, run: Run, event: Event) -> None:
        """Move the bar by what begins and by what rounds took."""
        self._progress.start()
        number = next(n for n, known in enumerate(self.runs) if known is run)
        text = None
        if not isinstance(event, Record):
            text = f"{event.kind} {event.variant or len(run.rounds) + 1}"
            if len(self.runs) > 1:
                text = f"{number + 1} of {len(self.runs)}: {text}"
            self._done_s[number] += STEP_S.get(event.kind, 0.0)
        elif isinstance(event.results, Round):
            self._done_s[number] += event.results.seconds
        elif isinstance(event.results, End):
            text, self._done_s[number] = "done", _expected_s(run)
        done = sum(self._done_s)
        self._progress.update(self._task, completed=done, description=text, refresh=True)


def _expected_s(run: Run) -> float:
    return run.plan.budget_s + forecast.beside_the_rounds_s(run)
