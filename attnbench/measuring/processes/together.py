"""Runs that differ in their runtime alone, timed in the same rounds.

What slows the machine for longer than a round so cancels between runtimes too. What ends a process
that they share, or does not fit into one, is no fault of any run as far as is known: from there on
each has processes of its own, which show whose it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from attnbench.measuring import repetitions
from attnbench.measuring.events import APART, Beginning, Event
from attnbench.measuring.processes.share import next_process
from attnbench.records.case import Case
from attnbench.records.run import Run
from attnbench.text import error_line

MeasureTogether = Callable[[Sequence[Run]], Iterator[tuple[int, Event]]]

Companies = dict[int, tuple[Run, ...]]
"""By the id of each run, itself and those whose rounds it shares, in their order."""


def companies(runs: Sequence[Run]) -> Companies:
    """Return which runs share their rounds: of one repetition, alike but in their runtime.

    A runtime that executes files shares none: it has thread pools of its own, which disturb others.
    """
    alike: dict[tuple[Case, int], list[Run]] = {}
    for number, run in zip(repetitions.numbered(runs), runs, strict=True):
        if not run.case.exported:
            alike.setdefault((replace(run.case, runtime="eager"), number), []).append(run)
    return {id(run): tuple(known) for known in alike.values() for run in known}


def rounds(runs: Sequence[Run], measure: MeasureTogether) -> Iterator[tuple[Run, Event]]:
    """Time runs in shared processes, one after the other, as long as more than one has not ended.

    Those of them begin a process together that have begun as many before: of a grid in which
    compiled networks have one process and eager ones six, the first.
    """
    while len(left := [run for run in runs if run.end is None]) > 1:
        number = min(map(next_process, left))
        members = [run for run in left if next_process(run) == number]
        before = [_done(run) for run in members]
        try:
            for position, event in measure(members):
                yield members[position], event
        except Exception as error:
            yield members[0], Beginning(APART, None, error_line(error))
            return
        if before == [_done(run) for run in members]:
            return  # another process would do no more


def _done(run: Run) -> tuple[int, int, bool]:
    failed = sum(run.failed(name, "latency") for name in run.plan.variants)
    return len(run.rounds), failed, run.end is None
