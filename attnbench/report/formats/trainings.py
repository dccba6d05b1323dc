"""Trainings in a report: their tables, plots and notes, for files and for the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from attnbench.report.formats.latex import document
from attnbench.report.formats.markdown import markdown
from attnbench.report.plots import render
from attnbench.report.plots.gains import GAIN_PLOTS
from attnbench.report.plots.render import Drawing
from attnbench.report.tables.run import LoadedRun, Runs
from attnbench.report.tables.table import Table
from attnbench.report.tables.trainings import gains as tables
from attnbench.stats.gains import Gains
from attnbench.text import markdown_text

STEM = "trainings"


@dataclass(frozen=True)
class Section:
    """What a report shows of one file of trainings."""

    heading: str
    host: str
    table: Table | None
    notes: Sequence[str]
    command: str
    drawings: Sequence[Drawing]
    frame: pd.DataFrame


def sections(trainings: Sequence[Gains], runs: Runs) -> list[Section]:
    """Return a section a file; gains are joined with the latency of runs of the same networks."""
    made = []
    for number, gains in enumerate(trainings, start=1):
        training = gains.trainings.training
        joined = [loaded for loaded in runs.values() if tables.of_host(gains.trainings, loaded)]
        suffix = f"-{number}" if len(trainings) > 1 else ""
        made.append(
            Section(
                heading=training.described,
                host=training.host,
                table=tables.table(gains),
                notes=tables.notes(gains),
                command=tables.command(gains.trainings),
                drawings=_drawn(gains, joined, suffix),
                frame=tables.frame(gains, joined[0] if joined else None),
            )
        )
    return made


def _drawn(gains: Gains, runs: Sequence[LoadedRun], suffix: str) -> list[Drawing]:
    """Draw gains alone, then against the latency of each run's configuration."""
    alone, timed = ({name: GAIN_PLOTS[name]} for name in GAIN_PLOTS)
    drawings = render.drawn(
        {f"{name}{suffix}": plot for name, plot in alone.items()},
        tables.frame(gains),
        gains.trainings.training.described,
    )
    for number, run in enumerate(runs, start=1):
        again = f"-run{number}" if len(runs) > 1 else ""
        setting = f"{gains.trainings.training.described}; latency: {run.run.case.described}"
        named = {f"{name}{suffix}{again}": plot for name, plot in timed.items()}
        drawings += render.drawn(named, tables.frame(gains, run), setting)
    return drawings


def files(made: Sequence[Section]) -> dict[str, str | bytes]:
    """Return trainings.md and .tex, and every plot."""
    if not made:
        return {}
    printed = [section.table for section in made if section.table is not None]
    notes = [note for section in made for note in section.notes]
    parts = [*map(markdown, printed), *(f"{markdown_text(note)}\n" for note in notes)]
    written: dict[str, str | bytes] = {
        f"{STEM}.md": "\n".join(parts),
        f"{STEM}.tex": document(printed, made[0].heading, notes),
    }
    for section in made:
        written |= render.files(section.drawings)
    return written
