"""What a run says once: what it will take, what its first round shows, and what it took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING

from rich.console import Console

from attnbench import formatting
from attnbench.cli import output
from attnbench.cli.run import forecast
from attnbench.records.run import Run
from attnbench.records.schema import Record, Round

if TYPE_CHECKING:
    from attnbench.measuring.events import Event, Waiting


class Told:
    """Says once what the runs will take, of each what its first round shows, and what all took."""

    def __init__(self, console: Console, every_s: float = 0.0) -> None:
        self._console, self._every_s = console, every_s
        self._waiting = self._held = False
        self._runs: Sequence[Run] = ()
        self._timed: list[int] = []
        self._begun_s = self._earlier_s = 0.0

    @property
    def something(self) -> bool:
        """Whether there was anything to do."""
        return bool(self._runs)

    def before(self, runs: Sequence[Run]) -> None:
        """Say what is to come, where nothing has been said yet."""
        if not self._runs:
            self._runs, self._begun_s = runs, perf_counter()
            self._earlier_s = sum(run.timed_s for run in runs)
            repetitions = max(Counter(run.case for run in runs).values())
            self._console.print(forecast.before_all(runs, self._every_s * (repetitions - 1)))

    def waiting(self, event: Waiting) -> None:
        """Say once that a repetition is not due yet, or who has the device."""
        if not self._waiting and event.holder:
            output.complain(
                f"waiting for {event.holder} (--share would measure beside it and flag every "
                "round, --no-wait end)"
            )
        elif not self._waiting:
            left = formatting.seconds(event.left_s)
            self._console.print(f"The next repetition begins in {left}.")
        self._waiting = True

    def after(self, run: Run, event: Event) -> None:
        """Say after a run's first round of this call what can be expected of it."""
        from attnbench.measuring.events import APART, BESIDE, HELD, Beginning

        self._waiting = False
        if isinstance(event, Beginning) and event.kind == HELD and not self._held:
            self._held = True
            output.complain(
                "other programs use the cores of this run: rounds are held back, for "
                f"{run.wait_for_quiet_s:g} s in all at most (--wait-for-quiet 0 goes on)"
            )
        if isinstance(event, Beginning) and event.kind == BESIDE:
            output.complain(f"rounds are flagged, beside {event.why}")
        if isinstance(event, Beginning) and event.kind == APART:
            output.complain(f"runtimes no longer share their rounds: {event.why}")
        a_round = isinstance(event, Record) and isinstance(event.results, Round)
        if a_round and id(run) not in self._timed:
            self._timed.append(id(run))
            self._console.print(forecast.of_rounds(run, run.moments[-1]))

    def at_the_end(self) -> None:
        """Say how much of the time lay outside of the budget."""
        if self._runs:
            whole_s = perf_counter() - self._begun_s
            timed_s = sum(run.timed_s for run in self._runs) - self._earlier_s
            whole, timed = formatting.seconds(whole_s), formatting.seconds(timed_s)
            self._console.print(f"It took {whole}, of which {timed} in timed rounds.")
