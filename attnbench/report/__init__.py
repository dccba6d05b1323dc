"""From a folder of records to tables and plots. Never torch: whoever shows does not measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import pandas as pd

from attnbench.errors import UserError
from attnbench.runs import Run

from . import alone, grids
from .frame import frame as network_frame
from .grids import grid
from .layouts import escaped, latex, markdown
from .plots import PLOTS
from .sheets import Sheet, machine, remarks, uncounted, warning
from .sheets import sheets as network_sheets
from .style import RC

__all__ = ["frame", "grid", "remarks", "sheets", "write", "write_grid"]


def frame(run: Run) -> pd.DataFrame:
    """One row a variant, or a module and stage where modules ran alone."""
    return alone.frame(run) if run.case.isolated else network_frame(run)


def sheets(run: Run, table: pd.DataFrame) -> list[Sheet]:
    """The printed tables of a run, given its frame."""
    return alone.sheets(run, table) if run.case.isolated else network_sheets(run, table)


def write(run: Run, folder: Path) -> list[Path]:
    """Write comparison.md, .csv and .tex and every plot as PNG and SVG; returns the files.

    Raises:
        UserError: the folder cannot be written to.
    """
    table = frame(run)
    tables = sheets(run, table)
    notes = [f"{run.case.described}.", f"{machine(run.case, run.environment)}.", *remarks(run)]
    left_out = "\n".join(
        ["**Left at zero by each rule, beyond the plain host**", ""]
        + [f"- {escaped(line)}" for line in uncounted(run)]
        + [""]
    )
    rest = [] if run.case.isolated else [left_out]
    text = {
        "comparison.md": "\n\n".join([*map(escaped, notes), *map(markdown, tables), *rest]),
        "comparison.csv": table.convert_dtypes().to_csv(index=False),
        "comparison.tex": "\n".join(
            [*(f"% {note}" for note in notes), *(latex(s, run.case.described) for s in tables)]
        ),
    }
    written = _write(folder, text)
    return written if run.case.isolated else written + _plot(table, run, folder)


def write_grid(runs: Sequence[Run], folder: Path) -> list[Path]:
    """Write grid.md and grid.csv: all configurations beside each other; returns the files.

    Raises:
        UserError: the folder cannot be written to.
    """
    text = {"grid.csv": grids.tidy(runs).convert_dtypes().to_csv(index=False)}
    return _write(folder, {"grid.md": markdown(grid(runs)), **text})


def _write(folder: Path, text: Mapping[str, str]) -> list[Path]:
    try:
        for name, content in text.items():
            (folder / name).write_text(content, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}") from error
    return [folder / name for name in text]


def _plot(table: pd.DataFrame, run: Run, folder: Path) -> list[Path]:
    written = []
    try:
        with mpl.rc_context(RC):
            for name, plot in PLOTS.items():
                figure = plot(table, run.case.described + warning(run))
                for kind in ("png", "svg"):
                    path = folder / f"{name}.{kind}"
                    figure.savefig(path, metadata={"Date": None} if kind == "svg" else None)
                    written.append(path)
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}") from error
    return written
