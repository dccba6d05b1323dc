"""Steps that take one process after the other, and go on without the variant that ended one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attnbench.measuring.events import BESIDE, Beginning, Event, failure, record
from attnbench.records.run import Run
from attnbench.records.schema import End, Failure, Record
from attnbench.records.variants import is_reserved
from attnbench.system.worker import ChildDiedError
from attnbench.text import error_line, error_name

MeasureLatency = Callable[[Run], Iterator[Event]]


def energy(run: Run, measure: MeasureLatency) -> Iterator[Event]:
    """Measure energy in child processes, where it is planned; after a failure without the variant.

    What ends a process outside of any variant's work is put down to the baseline, without which
    there are no ratios.
    """
    while not run.energy_known:
        last, before = run.plan.baseline, _energy_done(run)
        try:
            for event in measure(run):
                if isinstance(event, Beginning) and event.variant:
                    last = event.variant
                yield event
            if _energy_done(run) == before:
                return  # another process would do no more
        except Exception as error:
            if run.energy_known:  # it failed on exit, when all was done
                return
            failed = run.plan.baseline if run.failed(last, "energy") else last
            yield record(run, failed, error=failure("energy", error))


def _energy_done(run: Run) -> tuple[int, int]:
    """Return how many rounds of energy there are, and how many variants have failed at it."""
    return len(run.energy), sum(run.failed(name, "energy") for name in run.plan.variants)


def latency(run: Run, measure: MeasureLatency) -> Iterator[Event]:
    """Time the rounds in child processes, one after the other, each its share.

    Where a process has lost its device, a fresh one goes on. A variant that crashes it, or gives no
    answer, in its warm-up or its block of a round is recorded as failed, and timing restarts
    without it. The plain host in a round is not: the cause lies outside, and the run can be
    resumed.
    """
    while run.end is None:
        last, rounds, failed = Beginning("start", None), len(run.rounds), False
        try:
            for event in measure(run):
                if isinstance(event, Beginning) and event.kind != BESIDE:
                    last = event
                failed = failed or (isinstance(event, Record) and event.error is not None)
                yield event
            if run.end is None and len(run.rounds) == rounds and not failed:
                return  # another process would do no more
        except Exception as error:
            if run.end is not None:  # it failed on exit, when all was done
                return
            if isinstance(error, ChildDiedError) and last.kind == "warm-up":
                yield record(run, last.variant, error=failure("latency", error))
                continue
            message = error_line(error)
            if isinstance(error, ChildDiedError):
                variant = _variant_at(run, error) if last.kind == "round" else None
                where = f"{last.kind}, block of {variant}" if variant else last.kind
                message = f"{where}: {error}"
                if variant and not is_reserved(variant):
                    died = Failure(step="latency", type=error_name(error), message=message)
                    yield record(run, variant, error=died)
                    continue
            end = End(reason="failed", rounds=len(run.rounds), message=message)
            yield record(run, None, results=end)


def _variant_at(run: Run, error: ChildDiedError) -> str | None:
    """Return the variant in whose block the child was when it died, if that is known."""
    if error.mark is None or error.mark >= len(run.plan.variants):
        return None
    variant = run.plan.variants[error.mark]
    return None if run.failed(variant, "latency") else variant
