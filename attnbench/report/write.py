"""The files of a report: tables, plots as PNG and SVG, and the page that holds them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from attnbench.errors import UserError
from attnbench.records.evaluation import Evaluation
from attnbench.records.run import Run
from attnbench.report.formats.html import page
from attnbench.report.formats.latex import NOTES, comments, latex
from attnbench.report.formats.markdown import escaped, markdown
from attnbench.report.plots import render
from attnbench.report.plots.render import Drawing
from attnbench.report.tables import accuracy, isolated
from attnbench.report.tables.dataframe import frame as network_frame
from attnbench.report.tables.grid import Runs, grid, shared, tidy
from attnbench.report.tables.remarks import machine, remarks, uncounted
from attnbench.report.tables.run import sheets as network_sheets
from attnbench.report.tables.table import Table


def frame(run: Run) -> pd.DataFrame:
    """One row a variant, or a module and stage where modules ran alone."""
    return isolated.frame(run) if run.case.isolated else network_frame(run)


def sheets(run: Run, table: pd.DataFrame) -> list[Table]:
    """The printed tables of a run, given its frame."""
    made = isolated.sheets(run, table) if run.case.isolated else network_sheets(run, table)
    return [*made, *accuracy.sheets(run.evaluations)]


def draw(run: Run) -> list[Drawing]:
    """Every plot of a run: to be drawn once where several reports show it."""
    return render.of_run(run, frame(run))


def write(run: Run, folder: Path, drawings: Sequence[Drawing] | None = None) -> list[Path]:
    """Write comparison.md, .csv and .tex, every plot and report.html; returns the files.

    ``drawings`` are the run's plots where they have been drawn.

    Raises:
        UserError: the folder cannot be written to.
    """
    drawn = draw(run) if drawings is None else drawings
    text = _tables(run, frame(run))
    shown = {folder.name: render.on_page(drawn, "plot")}
    text["report.html"] = page({folder.name: run}, shown, ())
    return _write(folder, text | render.files(drawn))


def write_accuracy(evaluations: Sequence[Evaluation], folder: Path) -> list[Path]:
    """Write comparison.md, .tex and report.html of evaluations that lie beside no run.

    Raises:
        UserError: the folder cannot be written to.
    """
    tables, notes = accuracy.sheets(evaluations), accuracy.notes(evaluations)
    networks = ", ".join(dict.fromkeys(map(accuracy.network, evaluations)))
    return _write(
        folder,
        {
            "comparison.md": _tables_and_notes(tables, notes),
            "comparison.tex": _latex(tables, networks, notes),
            "report.html": page({}, {}, (), evaluations),
        },
    )


def write_joint(
    runs: Runs,
    folder: Path,
    apart: Sequence[Evaluation] = (),
    drawings: Mapping[str, Sequence[Drawing]] | None = None,
) -> list[Path]:
    """Write what several runs say beside each other: grid.md, .tex and .csv, plots and one page.

    Modules alone have columns of their own: they are on the page, and in no joint table.
    ``apart`` are evaluations that lie beside none of the runs; ``drawings`` are the plots of each
    run where they have been drawn.

    Raises:
        UserError: the folder cannot be written to.
    """
    networks = {name: run for name, run in runs.items() if not run.case.isolated}
    text: dict[str, str | bytes] = {}
    joint: list[Drawing] = []
    if networks:
        table, setting = tidy(networks), f"Runs: {', '.join(networks)}"
        evaluated = [each for run in runs.values() for each in run.evaluations] + [*apart]
        tables, notes = [grid(networks), *accuracy.sheets(evaluated)], accuracy.notes(evaluated)
        text["grid.md"] = _tables_and_notes(tables, notes)
        text["grid.tex"] = _latex(tables, setting, notes)
        text["grid.csv"] = table.convert_dtypes().to_csv(index=False)
        joint = render.of_grid(table, shared(networks))
        text |= render.files(joint)
    drawn = {name: draw(run) for name, run in runs.items()} if drawings is None else drawings
    shown = {
        name: render.on_page(drawn[name], f"plot-{number}") for number, name in enumerate(runs)
    }
    text["report.html"] = page(runs, shown, render.on_page(joint, "joint"), apart)
    return _write(folder, text)


def _tables_and_notes(tables: Sequence[Table], notes: Sequence[str]) -> str:
    return "\n".join([*map(markdown, tables), *(f"{escaped(note)}\n" for note in notes)])


def _latex(tables: Sequence[Table], setting: str, notes: Sequence[str]) -> str:
    return "\n".join([*comments([*notes, *NOTES]), *(latex(each, setting) for each in tables)])


def _tables(run: Run, table: pd.DataFrame) -> dict[str, str | bytes]:
    tables = sheets(run, table)
    notes = [
        f"{run.case.described}.",
        f"{machine(run.case, run.environment)}.",
        *remarks(run),
        *accuracy.notes(run.evaluations),
    ]
    left_out = "\n".join(
        ["**Left at zero by each rule, beyond the plain host**", ""]
        + [f"- {escaped(line)}" for line in uncounted(run)]
        + [""]
    )
    rest = [] if run.case.isolated else [left_out]
    return {
        "comparison.md": "\n\n".join([*map(escaped, notes), *map(markdown, tables), *rest]),
        "comparison.csv": table.convert_dtypes().to_csv(index=False),
        "comparison.tex": _latex(tables, run.case.described, notes),
    }


def _write(folder: Path, files: Mapping[str, str | bytes]) -> list[Path]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            data = content if isinstance(content, bytes) else content.encode()
            (folder / name).write_bytes(data)
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}") from error
    return [folder / name for name in files]
