"""The files of a report: tables, plots as PNG and SVG, and the page that holds them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from attnbench.errors import UserError
from attnbench.files import write_whole
from attnbench.records.evaluation import Evaluation
from attnbench.records.run import Run
from attnbench.report.formats import documentation, paper, trainings
from attnbench.report.formats.html import page
from attnbench.report.formats.latex import document
from attnbench.report.formats.markdown import markdown
from attnbench.report.formats.trainings import Section
from attnbench.report.load import Loaded
from attnbench.report.machines import places
from attnbench.report.machines.plots import MACHINE_PLOTS
from attnbench.report.machines.tables import tables as machine_tables
from attnbench.report.plots import render
from attnbench.report.plots.grid import GRID_PLOTS
from attnbench.report.plots.render import Drawing
from attnbench.report.plots.runtimes import RUNTIME_PLOTS
from attnbench.report.tables import accuracy
from attnbench.report.tables.grid import by_runtime, grid, shared, tidy
from attnbench.report.tables.pooled import pooled
from attnbench.report.tables.remarks import machine, remarks
from attnbench.report.tables.run import LoadedRun, Runs, of_several, tables
from attnbench.report.tables.sentences.scope import uncounted
from attnbench.report.tables.table import Table
from attnbench.text import markdown_text, spreadsheet

Files = dict[str, str | bytes]
"""Contents by file name."""


def write(run: Run, folder: str | PathLike[str]) -> list[Path]:
    """Write comparison.md, .csv and .tex, every plot and report.html of a run; return the files.

    Raises:
        UserError: the folder cannot be written to.
    """
    loaded = LoadedRun(run)
    return _write_run(loaded, Path(folder), render.of_run(loaded))


def write_loaded(loaded: Loaded, out: Path) -> None:
    """Write the report of what was loaded; of several runs, also one in each folder.

    Raises:
        UserError: a folder cannot be written to.
    """
    trained = trainings.sections(loaded.trainings, loaded.pooled)
    trained += trainings.of_precisions(loaded.precisions)
    if not loaded.runs:
        write_evaluations(loaded.evaluations, out, trained)
    elif loaded.single:
        (run,) = loaded.runs.values()
        if loaded.evaluations:
            every = (*run.run.evaluations, *loaded.evaluations)
            run = replace(run, run=replace(run.run, evaluations=every))
        _write_run(run, out, render.of_run(run), trained)
    else:
        drawings = {}
        for (path, run), name in zip(loaded.runs.items(), loaded.named, strict=True):
            drawings[name] = render.of_run(run)
            _write_run(run, path, drawings[name])
        write_joint(loaded.named, out, loaded.evaluations, drawings, loaded.pooled, trained)


def _write_run(
    loaded: LoadedRun,
    folder: Path,
    drawings: Sequence[Drawing],
    trained: Sequence[Section] = (),
) -> list[Path]:
    run = loaded.run
    notes = [f"{run.case.described}.", f"{machine(run)}.", *remarks(loaded)]
    notes += accuracy.notes(run.evaluations)
    printed = [*tables(loaded), *accuracy.tables(run.evaluations)]
    texts = [*map(markdown_text, notes), *map(markdown, printed)]
    if not run.case.isolated:
        left_out = "".join(f"- {markdown_text(line)}\n" for line in uncounted(run))
        texts.append(f"**Left at zero by each rule, beyond the plain host**\n\n{left_out}")
    files: Files = {
        "comparison.md": "\n\n".join(texts),
        "comparison.csv": csv(loaded.frame),
        "comparison.tex": document(printed, run.case.described, notes),
        "report.html": page(
            {folder.name: loaded},
            {folder.name: drawings},
            files=_links("comparison", *TABLES) | _links_of(trained),
            trainings=trained,
            docs=documentation.address(folder),
        ),
    }
    return _write(folder, files | render.files(drawings) | trainings.files(trained))


def write_paper(loaded: Loaded, out: Path, keys: Sequence[str]) -> list[Path]:
    """Write paper.tex, those columns of one run, and paper.bib, the papers of its modules.

    Several runs of one configuration are one.

    Raises:
        UserError: several configurations or none, or the folder cannot be written to.
    """
    if len(loaded.pooled) != 1:
        listed = "; ".join(run.run.case.described for run in loaded.pooled.values())
        raise UserError(
            f"--paper takes one run, or several of one configuration, not {len(loaded.pooled)}: "
            f"name the folder of one{f'; here are {listed}' if listed else ''}"
        )
    (run,) = loaded.pooled.values()
    files: Files = {
        "paper.tex": paper.table(run, keys),
        "paper.bib": paper.bibliography(run.run.modules),
    }
    return _write(out, files)


def write_evaluations(
    evaluations: Sequence[Evaluation], folder: Path, trained: Sequence[Section] = ()
) -> list[Path]:
    """Write comparison.md, .tex and report.html of evaluations and trainings beside no run.

    Raises:
        UserError: the folder cannot be written to.
    """
    networks = ", ".join(dict.fromkeys(map(accuracy.network, evaluations)))
    files: Files = {}
    links: dict[str, str] = {}
    if evaluations:
        files = _tables("comparison", accuracy.tables(evaluations), networks, evaluations)
        links = _links("comparison", "md", "tex")
    shown = page(
        {},
        {},
        evaluations=evaluations,
        files=links | _links_of(trained),
        trainings=trained,
        docs=documentation.address(folder),
    )
    return _write(folder, files | trainings.files(trained) | {"report.html": shown})


def write_joint(  # noqa: PLR0913, PLR0917  what a joint page may hold
    runs: Runs,
    folder: Path,
    evaluations: Sequence[Evaluation] = (),
    drawings: Mapping[str, Sequence[Drawing]] | None = None,
    together: Runs | None = None,
    trained: Sequence[Section] = (),
) -> list[Path]:
    """Write what compares several runs: grid.md, .tex and .csv, plots and one page.

    Runs of one configuration are taken together in tables and plots; grid.csv has a row for each.
    Isolated runs have columns of their own: they are on the page, and in no joint table.
    ``evaluations`` are those that lie beside none of the runs; ``drawings`` are each run's plots,
    where they have been drawn already, and ``together`` the runs with those of one configuration
    taken together, where that has been done.

    Raises:
        UserError: the folder cannot be written to.
    """
    networks = {name: loaded for name, loaded in runs.items() if not loaded.run.case.isolated}
    drawings = drawings or {name: render.of_run(loaded) for name, loaded in runs.items()}
    files: Files = {}
    joint: list[Drawing] = []
    by_machine: list[Table] = []
    together = pooled(networks, evaluations) if together is None else together
    together = {name: loaded for name, loaded in together.items() if not loaded.run.case.isolated}
    if networks:
        setting = f"Runs: {', '.join(networks)}"
        evaluated = [known for loaded in runs.values() for known in loaded.run.evaluations]
        evaluated += evaluations
        repeated = {name: run for name, run in together.items() if len(run.runs) > 1}
        printed = [grid(together)] if len(together) > 1 or not repeated else []
        printed += by_runtime(together)
        printed += [table for run in repeated.values() for table in of_several(run)]
        by_machine = machine_tables(together)
        printed += [*by_machine, *accuracy.tables(evaluated)]
        if len(together) > 1 or not repeated:
            plots = RUNTIME_PLOTS | GRID_PLOTS
            joint = render.drawn(plots, tidy(together), shared(together))
            joint += render.drawn(MACHINE_PLOTS, places.placed(together), shared(together))
        else:
            (single,) = together.values()
            joint = render.of_run(single)
        notes = [
            note
            for run in repeated.values()
            for note in (f"{run.run.case.described}.", *remarks(run))
        ]
        alone = (run for name, run in together.items() if name not in repeated)
        notes += [sentence for run in alone for sentence in run.left_out]
        files = _tables("grid", printed, setting, evaluated, notes) | render.files(joint)
        files["grid.csv"] = csv(tidy(networks))
    links = _links("grid", *(TABLES if networks else ())) | _links_of(trained)
    docs = documentation.address(folder)
    shown = page(runs, drawings, joint, evaluations, links, together, trained, by_machine, docs)
    return _write(folder, files | trainings.files(trained) | {"report.html": shown})


TABLES = ("csv", "md", "tex")


def _links(stem: str, *endings: str) -> dict[str, str]:
    """Return the addresses of tables as files, which a page beside them links to."""
    return {ending: f"{stem}.{ending}" for ending in endings}


def _links_of(trained: Sequence[Section]) -> dict[str, str]:
    stems = trainings.stems(trained)
    return {f"{stem}.{ending}": f"{stem}.{ending}" for stem in stems for ending in ("md", "tex")}


def csv(frame: pd.DataFrame) -> str:
    """Return the frame as CSV: figures as they are, text as no spreadsheet takes for a formula."""
    with np.errstate(invalid="ignore"):  # some versions of pandas cast what is missing to integers
        table = frame.convert_dtypes()
    for key in table:
        if not is_numeric_dtype(table[key]):
            table[key] = table[key].map(
                lambda value: spreadsheet(value) if isinstance(value, str) else value
            )
    return table.to_csv(index=False)


def _tables(
    stem: str,
    tables: Sequence[Table],
    setting: str,
    evaluations: Sequence[Evaluation],
    remarks: Sequence[str] = (),
) -> Files:
    notes = [*remarks, *accuracy.notes(evaluations)]
    text = "\n".join([*map(markdown, tables), *(f"{markdown_text(note)}\n" for note in notes)])
    return {f"{stem}.md": text, f"{stem}.tex": document(tables, setting, notes)}


def _write(folder: Path, files: Files) -> list[Path]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}") from error
    for name, content in files.items():
        write_whole(folder / name, content if isinstance(content, bytes) else content.encode())
    return [folder / name for name in files]
