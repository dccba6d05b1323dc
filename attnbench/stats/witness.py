"""How much longer the plain host takes beside custom code than in a process without it."""

from __future__ import annotations

from math import log

from attnbench.records.run import Run
from attnbench.stats import between_runs, processes
from attnbench.stats.interval import FEWEST, Interval

MOST = 1.05
"""Times that the plain host may take beside custom code, or be faster: more is interference."""


def custom_modules(run: Run) -> list[str]:
    """Return the modules of a run whose code runs in its processes and is not the suite's.

    A custom host is none: its code runs in the witness too. Of what was exported no code runs.
    """
    return [] if run.case.exported else [name for name in run.modules if name in run.plan.sources]


def ratio(run: Run) -> Interval | None:
    """Return the baseline's time in the run over that of the witness right after the same round.

    Of fewer than three processes, the scatter that is assumed of runs stands for that of processes.
    None where there are too few rounds with a witness.
    """
    samples = [
        (log((block.seconds / block.steps) / (seen.seconds / seen.steps)), timed.process)
        for timed in run.rounds
        if (seen := timed.witness)
        for block in timed.blocks
        if block.variant == run.plan.baseline
    ]
    if len(samples) < FEWEST:
        return None
    logs, ran_in = [value for value, _ in samples], [process for _, process in samples]
    known = processes.parts(logs, ran_in)
    interval = known.interval.exponential
    return between_runs.known([interval]) if known.processes is None else interval


def shows_interference(known: Interval) -> bool:
    """Return whether the whole interval lies beyond :data:`MOST`, either way."""
    return known.low > MOST or known.high < 1 / MOST
