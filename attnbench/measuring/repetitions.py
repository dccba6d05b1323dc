"""When a run begins: not before it is due, nor while another measures on this machine."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from math import inf

from attnbench.measuring.events import BESIDE, Beginning, Event, Waiting
from attnbench.records.case import Case
from attnbench.records.run import Run
from attnbench.records.schema import EnergyRound, Environment, Record, Round
from attnbench.system import machine_lock
from attnbench.system.machine_lock import IfBusy, Turn

TICK_S = 1.0
"""Between two looks at the clock."""


def numbered(runs: Sequence[Run]) -> list[int]:
    """Return which repetition of its configuration each run is, from 1."""
    seen: Counter[Case] = Counter()
    numbers = []
    for run in runs:
        seen[run.case] += 1
        numbers.append(seen[run.case])
    return numbers


def paced(  # noqa: PLR0913  the clock is simulated in tests
    runs: Sequence[Run],
    every_s: float,
    notify: Callable[[Run, Waiting], object],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Iterator[Run]:
    """Yield the runs that are not finished, each once its repetition is due.

    That is ``every_s`` after the one before began, in this process or in one that was interrupted.
    While it waits, it calls ``notify`` with the seconds that are left.
    """
    numbers = numbered(runs)
    started: dict[int, float] = {}
    for number, run in zip(numbers, runs, strict=True):
        if (age_s := _age_s(run, now())) is not None:
            started[number] = min(clock() - age_s, started.get(number, clock()))
    for number, run in zip(numbers, runs, strict=True):
        if run.finished:
            continue
        if number not in started:
            earlier = [begun for before, begun in started.items() if before < number]
            due = max(earlier, default=-inf) + every_s
            while (left_s := due - clock()) > 0:
                notify(run, Waiting(left_s))
                sleep(min(left_s, TICK_S))
            started[number] = clock()
        yield run


def _age_s(run: Run, now: datetime) -> float | None:
    """Return how long ago a run began, by its records; None where it has not."""
    if run.started is None:
        return None
    try:
        begun = datetime.fromisoformat(run.started)
        return max((now - begun).total_seconds(), 0.0)
    except (TypeError, ValueError):  # without a time zone, or no time
        return 0.0


def devices_of(case: Case, facts: Environment) -> tuple[str, ...]:
    """Return the names by which the devices of a case are locked, from their facts."""
    return () if case.device == "cpu" else (str(facts.get("gpu_uuid")),)


class Turns:
    """The machine's lock around each run, and whether a round ran beside another's work."""

    def __init__(
        self,
        if_busy: IfBusy,
        notify: Callable[[Run, Waiting], object],
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._if_busy, self._notify, self._sleep = if_busy, notify, sleep
        self._turn = Turn()
        self._said = False

    def require_free(self, devices: Callable[[], tuple[str, ...] | None]) -> None:
        """Take the turn of these devices before anything is planned, if none may be waited for.

        So a refusal leaves no folder behind; the first run measures in this turn.

        Raises:
            UserError: another has one of them.
        """
        if self._if_busy == "refuse" and (names := devices()) is not None:
            self._turn = Turn(names)
            for _ in machine_lock.begin(self._turn, self._if_busy):
                pass

    def end(self) -> None:
        """Release the turn."""
        self._turn.end()

    def each(self, runs: Iterable[Run]) -> Iterator[Run]:
        """Yield each run once it may measure; its turn ends when the next one is asked for.

        Raises:
            UserError: another has its device, and that is to be refused.
        """
        for run in runs:
            turn = Turn(devices_of(run.case, run.environment))
            if turn.devices != self._turn.devices:
                self._turn.end()
                self._turn = turn
            try:
                for holder in machine_lock.begin(self._turn, self._if_busy):
                    self._notify(run, Waiting(holder=holder.described))
                    self._sleep(machine_lock.LOOK_S)
                yield run
            finally:
                self._turn.end()

    def marked(self, events: Iterable[Event]) -> Iterator[Event]:
        """Yield the events; a round says where another's work was seen beside it.

        Before the first such round comes one that names the other.
        """
        for event in events:
            yield from self._marked(event)

    def marked_together(self, events: Iterable[tuple[int, Event]]) -> Iterator[tuple[int, Event]]:
        """Do the same for events that come with the position of their run."""
        return ((position, known) for position, event in events for known in self._marked(event))

    def _marked(self, event: Event) -> Iterator[Event]:
        if not (isinstance(event, Record) and isinstance(event.results, EnergyRound | Round)):
            yield event
            return
        other = self._turn.beside()
        if other is None:
            yield event
            return
        if not self._said:
            self._said = True
            yield Beginning(BESIDE, None, other.described)
        yield replace(event, results=replace(event.results, shared=True))
