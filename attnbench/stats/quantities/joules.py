"""Joules in the place of seconds, so that all that holds for ratios of time holds for these too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from statistics import median

from attnbench.records.run import Run
from attnbench.records.schema import Block, Round, Window

MOST_APART = 0.1
"""Share by which the counter and the integral of power may differ before a window is flagged."""


def energy_rounds(run: Run) -> list[Round]:
    """Return the rounds of energy with each window's joules as its seconds.

    None where the baseline failed: what it stands on is not to be trusted.
    """
    if run.failed(run.plan.baseline, "energy"):
        return []
    return [
        Round(
            number=known.number,
            blocks=tuple(
                Block(variant=each.variant, steps=each.steps, seconds=each.total_j)
                for each in known.windows
            ),
            shared=known.shared,
        )
        for known in run.energy
    ]


def as_energy(run: Run) -> Run:
    """Return the run with joules in the place of seconds."""
    return replace(run, rounds=energy_rounds(run), moments=[])


def windows(run: Run, variant: str | None = None) -> Iterator[Window]:
    """Yield the windows of a variant, or of all, of a run whose energy is known."""
    if run.failed(run.plan.baseline, "energy"):
        return
    for known in run.energy:
        for each in known.windows:
            if variant in (None, each.variant):
                yield each


def power_w(run: Run, variant: str) -> float | None:
    """Return the median over a variant's windows of its mean power."""
    powers = [each.total_j / each.seconds for each in windows(run, variant)]
    return median(powers) if powers else None


def apart(each: Window) -> bool:
    """Return whether counter and integral of power differ by more than :data:`MOST_APART`."""
    return each.power_j is not None and abs(each.power_j / each.total_j - 1) > MOST_APART


def domains(run: Run) -> tuple[str, ...]:
    """Return what was counted: ``gpu``; ``package-0, dram-0``."""
    return next((tuple(sorted(each.joules)) for each in windows(run)), ())
