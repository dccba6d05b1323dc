"""What went wrong in a run, each in one line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from attnbench.records.run import Run, read
from attnbench.text import printable

RESULTS = (
    *("plan", "counts", "shapes", "memory", "profile", "compiled", "export", "rounds"),
    *("failures", "end"),
)
"""What a run and its file must agree on."""


def changed(runs: Iterable[Run], folders: Iterable[Path]) -> Iterator[str]:
    """Yield a line for each run whose file does not hold what was stored in it.

    A custom module could write to it, as any process of the same user.
    """
    for run, folder in zip(runs, folders, strict=True):
        stored = read(folder)
        if unlike := [name for name in RESULTS if getattr(stored, name) != getattr(run, name)]:
            yield (
                f"another process has changed the records in {folder} ({', '.join(unlike)}); "
                "do not use them, and measure again"
            )


def left_out(name: str, why: str) -> str:
    """Return the line for a module that does not fit."""
    return f"{name} is left out: {why.removeprefix(f'{name}: ')}"


def failures(runs: Iterable[Run]) -> Iterator[str]:
    """Yield a line for each run that ended early, and for each variant that failed in a step.

    Some rules of counting may fail.
    """
    for run in runs:
        if run.end is not None and run.end.message is not None:
            yield f"{run.case.described} ended early: {printable(run.end.message, 600)}"
        for variant, steps in run.failures.items():
            failed = [name for name in steps if name != "counts" or variant not in run.counts]
            if failed:
                message = printable(steps[failed[0]].message, 300)  # type: ignore[index]
                yield f"{variant} failed ({', '.join(failed)}) in {run.case.described}: {message}"
