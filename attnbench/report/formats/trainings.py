"""Trainings and evaluated detectors in a report: tables, plots and notes, for files and page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from attnbench.records.precision import Precision
from attnbench.report.formats.latex import document
from attnbench.report.formats.markdown import markdown
from attnbench.report.plots import render
from attnbench.report.plots.gains import GAIN_PLOTS
from attnbench.report.plots.render import Drawing
from attnbench.report.tables.detectors import precisions as precision_tables
from attnbench.report.tables.run import LoadedRun, Runs
from attnbench.report.tables.table import Table
from attnbench.report.tables.trainings import gains as tables
from attnbench.stats.gains import Gains
from attnbench.text import markdown_text

STEM, PRECISION = "trainings", "precision"


@dataclass(frozen=True)
class Section:
    """What a report shows of one metric of a file of trainings, or of one detector's precision."""

    heading: str
    host: str
    table: Table | None
    notes: Sequence[str]
    command: str
    drawings: Sequence[Drawing] = ()
    frame: pd.DataFrame | None = None
    stem: str = STEM
    """Of the files that hold it."""

    @property
    def is_training(self) -> bool:
        """Whether it answers if a module helps."""
        return self.stem == STEM


def sections(trainings: Sequence[Gains], runs: Runs) -> list[Section]:
    """Return a section a file; gains are joined with the latency of runs of the same networks."""
    made = []
    for number, gains in enumerate(trainings, start=1):
        training = gains.trainings.training
        joined = [loaded for loaded in runs.values() if tables.of_host(gains.trainings, loaded)]
        suffix = f"-{number}" if len(trainings) > 1 else ""
        made.append(
            Section(
                heading=tables.heading(gains),
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
        tables.heading(gains),
    )
    for number, run in enumerate(runs, start=1):
        again = f"-run{number}" if len(runs) > 1 else ""
        setting = f"{tables.heading(gains)}; latency: {run.run.case.described}"
        named = {f"{name}{suffix}{again}": plot for name, plot in timed.items()}
        drawings += render.drawn(named, tables.frame(gains, run), setting)
    return drawings


def of_precisions(precisions: Sequence[Precision]) -> list[Section]:
    """Return a section for each detector that was evaluated."""
    return [
        Section(
            heading=precision_tables.network(result),
            host=result.host,
            table=precision_tables.tables([result])[0],
            notes=precision_tables.notes(result),
            command=precision_tables.command(result),
            stem=PRECISION,
        )
        for result in precisions
    ]


def stems(made: Sequence[Section]) -> list[str]:
    """Return the stems of the files that :func:`files` writes tables to."""
    return list(dict.fromkeys(section.stem for section in made))


def files(made: Sequence[Section]) -> dict[str, str | bytes]:
    """Return trainings.md and .tex, those of precisions, and every plot."""
    written: dict[str, str | bytes] = {}
    for stem in stems(made):
        alike = [section for section in made if section.stem == stem]
        printed = [section.table for section in alike if section.table is not None]
        notes = [note for section in alike for note in section.notes]
        parts = [*map(markdown, printed), *(f"{markdown_text(note)}\n" for note in notes)]
        written[f"{stem}.md"] = "\n".join(parts)
        written[f"{stem}.tex"] = document(printed, alike[0].heading, notes)
        for section in alike:
            written |= render.files(section.drawings)
    return written
