"""What the plain host takes in each runtime over what it takes in the first, of shared rounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

from attnbench import formatting
from attnbench.records.run import Run
from attnbench.records.schema import Round
from attnbench.report.tables.run import LoadedRun, Runs
from attnbench.report.tables.table import Table
from attnbench.stats import between_runs, between_runtimes
from attnbench.stats.quantities.device_time import device_rounds, has_device_times

CAPTION = "Latency of the plain host by runtime, of rounds that the runtimes shared"
HEADINGS = ("configuration", "over", "latency ratio [95%]")
OF_DEVICE = "the device's own time, ratio [95%]"
ROUNDS = "shared rounds"

DEFINITIONS = {
    "configuration": "The settings in which the runs differ.",
    "over": "Those of the run that it is compared with.",
    "latency ratio [95%]": "Latency of the plain host, as users have it; a sample is a round. The "
    "interval is of these rounds and their processes, not of other hours.",
    OF_DEVICE: "The same of the device's own time.",
    ROUNDS: "In which both ran.",
}


def tables(named: Runs) -> list[Table]:
    """Return the table, or none where no runs shared rounds; a row a run, behind the first."""
    rows: list[tuple[str, ...]] = []
    labels = list(named)
    for number, label in enumerate(labels):
        for base in labels[:number]:
            if shared := _shared(named[base], named[label]):
                rows.append((label, base, *_cells(named[base], named[label], shared)))
                break
    if not rows:
        return []
    headings = (*HEADINGS, OF_DEVICE, ROUNDS)
    kept = [
        number
        for number, heading in enumerate(headings)
        if heading != OF_DEVICE or {row[number] for row in rows} != {formatting.NOTHING}
    ]
    return [
        Table(
            CAPTION,
            tuple(headings[number] for number in kept),
            tuple(tuple(row[number] for number in kept) for row in rows),
            tuple(DEFINITIONS[headings[number]] for number in kept),
        )
    ]


Pair = tuple[Run, Run]


def _shared(base: LoadedRun, other: LoadedRun) -> list[Pair]:
    """Return the pairs of their runs that shared rounds: one of each repetition."""
    return [
        (one, two)
        for one, two in product(base.runs, other.runs)
        if between_runtimes.paired(one.rounds, two.rounds)
    ]


def _cells(base: LoadedRun, other: LoadedRun, shared: Sequence[Pair]) -> tuple[str, ...]:
    rounds = sum(len(between_runtimes.paired(one.rounds, two.rounds)) for one, two in shared)
    faults = [loaded.control_fault for loaded in (base, other)]
    of_users = _text(shared, lambda run: run.rounds, noisy=any(faults))
    if not all(has_device_times(run.rounds) for pair in shared for run in pair):
        return of_users, formatting.NOTHING, str(rounds)
    faults = [loaded.device_control_fault for loaded in (base, other)]
    of_device = _text(shared, lambda run: device_rounds(run.rounds), noisy=any(faults))
    return of_users, of_device, str(rounds)


def _text(shared: Sequence[Pair], of: Callable[[Run], Sequence[Round]], *, noisy: bool) -> str:
    known = [between_runtimes.ratio(of(one), of(two)) for one, two in shared]
    intervals = [interval for interval in known if interval is not None]
    if not intervals:
        return formatting.NOTHING
    text = formatting.ratio(between_runs.mean(intervals))
    return f"{text} too noisy" if noisy else text
