"""The plain host beside a run with custom modules, in a process that never runs their code.

What custom code changes unseen in the process that it shares with the plain host (C++ within torch,
threads that come and go, memory bandwidth) makes the plain host slower there, and every ratio with
it. So each process of such a run has a witness: a process with nothing but the plain host and its
control, asked for one block after every round.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from itertools import count

from attnbench import formatting
from attnbench.measuring import timing
from attnbench.measuring.events import Event, record
from attnbench.measuring.latency import warm_up
from attnbench.records.run import Run
from attnbench.records.schema import Block, End, Record, Round
from attnbench.stats import witness
from attnbench.system import process_settings, worker
from attnbench.text import error_line, printable


class WitnessError(RuntimeError):
    """The witness has failed; that says nothing of any variant."""


def blocks(run: Run, clock: timing.Clock | None = None) -> Iterator[Block]:
    """Yield a block of the baseline each time that it is asked for; a child process runs it.

    As in a round, another network runs before it, and it moves in memory every few rounds.
    """
    process_settings.settle(run.case)
    clock = clock or timing.clock_for(run.case.device)
    baseline, before = (warm_up.step(run.case, name) for name in run.plan.variants[:2])
    with before.during():
        timing.warm_up(before, clock)
    with baseline.during():
        steps = timing.warm_up(baseline, clock)
    for number in count(1):
        gc.disable()  # as in a round
        try:
            with before.during():
                before()
            clock.synchronize()
            with baseline.during():
                seconds = timing.timed(baseline, steps, clock)
        finally:
            gc.enable()
        yield Block(variant=run.plan.baseline, steps=steps, seconds=seconds)
        if number % process_settings.moves_every(run.case) == 0:
            for step in (baseline, before):
                if step.move:
                    step.move()


Begin = Callable[[Run], Iterator[Block]]
"""Starts a witness, which gives a block each time that it is asked."""


def _begin(run: Run) -> Iterator[Block]:
    return worker.stream(blocks, run)


def witnessed(run: Run, events: Iterator[Event], begin: Begin = _begin) -> Iterator[Event]:
    """Pass on the events of a process, each round with the witness's block right after it.

    An end becomes a failure where the witness shows that custom code changes the plain host.

    Raises:
        WitnessError: the witness has failed.
    """
    of_one = ((0, event) for event in events)
    return (event for _, event in witnessed_together((run,), of_one, begin))


def witnessed_together(
    runs: Sequence[Run], events: Iterator[tuple[int, Event]], begin: Begin = _begin
) -> Iterator[tuple[int, Event]]:
    """Do the same for runs that share a process, each with a witness of its own.

    Each event comes with the position of its run.

    Raises:
        WitnessError: a witness has failed.
    """
    beside = [begin(run) for run in runs]
    try:
        for known in beside:  # they build and warm up before the process that they stand beside
            _next(known)
        for position, event in events:
            yield position, _seen(event, runs[position], beside[position])
    finally:
        for known in beside:
            if isinstance(known, Generator):  # whose process ends with it
                known.close()


def _seen(event: Event, run: Run, beside: Iterator[Block]) -> Event:
    results = event.results if isinstance(event, Record) else None
    if isinstance(event, Record) and isinstance(results, Round):
        return replace(event, results=replace(results, witness=_next(beside)))
    if isinstance(results, End) and results.reason != "failed" and (found := fault(run)):
        end = End(reason="failed", rounds=results.rounds, message=found)
        return record(run, None, results=end)
    return event


def _next(beside: Iterator[Block]) -> Block:
    try:
        return next(beside)
    except Exception as error:
        message = f"the plain host in a process without custom modules: {error_line(error)}"
        raise WitnessError(message) from error


def fault(run: Run) -> str | None:
    """Return that custom code changes what the baseline takes, or None where it may not."""
    known = witness.ratio(run)
    if known is None or not witness.shows_interference(known):
        return None
    custom = witness.custom_modules(run)
    who = printable(custom[0]) if len(custom) == 1 else "the custom modules"
    share = formatting.percent(witness.MOST - 1, 0)
    return (
        f"{who}: {run.plan.baseline} takes {formatting.ratio(known)} times as long in the process "
        f"that runs this code as in one that never does; more than {share} is interference"
    )
