"""The files of a report: tables, plots as PNG and SVG, and the page that holds them all."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from markupsafe import Markup

from attnbench.errors import UserError
from attnbench.evaluations import Evaluation
from attnbench.runs import Run

from . import alone, measured, svg
from .drawing import Plot
from .frame import frame as network_frame
from .grid_plots import GRID_PLOTS
from .grids import Runs, grid, shared, tidy
from .layouts import escaped, latex, markdown
from .page import Picture, page
from .plots import PLOTS
from .roofline import ALONE_PLOTS
from .sheets import Sheet, machine, remarks, uncounted, warning
from .sheets import sheets as network_sheets
from .style import RC


def frame(run: Run) -> pd.DataFrame:
    """One row a variant, or a module and stage where modules ran alone."""
    return alone.frame(run) if run.case.isolated else network_frame(run)


def sheets(run: Run, table: pd.DataFrame) -> list[Sheet]:
    """The printed tables of a run, given its frame."""
    made = alone.sheets(run, table) if run.case.isolated else network_sheets(run, table)
    return [*made, *measured.sheets(run.evaluations)]


def write(run: Run, folder: Path) -> list[Path]:
    """Write comparison.md, .csv and .tex, every plot and report.html; returns the files.

    Raises:
        UserError: the folder cannot be written to.
    """
    table = frame(run)
    text = _tables(run, table)
    pictures, plots = _plots(run, table, "plot")
    text["report.html"] = page({folder.name: run}, {folder.name: pictures}, ())
    return _write(folder, text | plots)


def write_accuracy(evaluations: Sequence[Evaluation], folder: Path) -> list[Path]:
    """Write comparison.md, .tex and report.html of evaluations that lie beside no run.

    Raises:
        UserError: the folder cannot be written to.
    """
    tables, notes = measured.sheets(evaluations), measured.notes(evaluations)
    networks = ", ".join(dict.fromkeys(map(measured.network, evaluations)))
    return _write(
        folder,
        {
            "comparison.md": _tables_and_notes(tables, notes),
            "comparison.tex": "\n".join(
                [*(f"% {note}" for note in notes), *(latex(each, networks) for each in tables)]
            ),
            "report.html": page({}, {}, (), evaluations),
        },
    )


def write_joint(runs: Runs, folder: Path, apart: Sequence[Evaluation] = ()) -> list[Path]:
    """Write what several runs say beside each other: grid.md, .tex and .csv, plots and one page.

    Modules alone have columns of their own: they are on the page, and in no joint table.
    ``apart`` are evaluations that lie beside none of the runs.

    Raises:
        UserError: the folder cannot be written to.
    """
    networks = {name: run for name, run in runs.items() if not run.case.isolated}
    text: dict[str, str | bytes] = {}
    joint: list[Picture] = []
    if networks:
        table, setting = tidy(networks), f"Runs: {', '.join(networks)}"
        evaluated = [each for run in runs.values() for each in run.evaluations] + [*apart]
        tables, notes = [grid(networks), *measured.sheets(evaluated)], measured.notes(evaluated)
        text["grid.md"] = _tables_and_notes(tables, notes)
        text["grid.tex"] = "\n".join(latex(sheet, setting) for sheet in tables)
        text["grid.csv"] = table.convert_dtypes().to_csv(index=False)
        joint, plots = _drawn(GRID_PLOTS, table, shared(networks), "joint")
        text |= plots
    pictures = {
        name: _plots(run, frame(run), f"plot-{number}")[0]
        for number, (name, run) in enumerate(runs.items())
    }
    text["report.html"] = page(runs, pictures, joint, apart)
    return _write(folder, text)


def _tables_and_notes(tables: Sequence[Sheet], notes: Sequence[str]) -> str:
    return "\n".join([*map(markdown, tables), *(f"{escaped(note)}\n" for note in notes)])


def _tables(run: Run, table: pd.DataFrame) -> dict[str, str | bytes]:
    tables = sheets(run, table)
    notes = [
        f"{run.case.described}.",
        f"{machine(run.case, run.environment)}.",
        *remarks(run),
        *measured.notes(run.evaluations),
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
        "comparison.tex": "\n".join(
            [*(f"% {note}" for note in notes), *(latex(s, run.case.described) for s in tables)]
        ),
    }


def _plots(run: Run, table: pd.DataFrame, prefix: str) -> tuple[list[Picture], dict[str, bytes]]:
    plots = ALONE_PLOTS if run.case.isolated else PLOTS
    setting = run.case.described + warning(run)
    return _drawn(plots, table.assign(mode=run.case.mode), setting, prefix)


def _drawn(
    plots: Mapping[str, Plot], table: pd.DataFrame, setting: str, prefix: str
) -> tuple[list[Picture], dict[str, bytes]]:
    """Every plot for which there are data, for the page and as files."""
    pictures, files = [], {}
    with mpl.rc_context(RC), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the SVG has its text all the same
        for name, plot in plots.items():
            if not plot.fits(table):
                continue
            figure = plot.draw(table, setting)
            words = plot.describe(table)
            drawn = svg.as_svg(figure, alternative=words)
            files[f"{name}.svg"] = drawn.encode()
            files[f"{name}.png"] = svg.as_png(figure)
            pictures.append(
                Picture(plot.caption, Markup(svg.inline(drawn, f"{prefix}-{name}")), words)
            )
    return pictures, files


def _write(folder: Path, files: Mapping[str, str | bytes]) -> list[Path]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            data = content if isinstance(content, bytes) else content.encode()
            (folder / name).write_bytes(data)
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}") from error
    return [folder / name for name in files]
