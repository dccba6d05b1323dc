"""From a folder of records to tables and plots. Never torch: whoever shows does not measure."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

from attnbench.errors import UserError
from attnbench.runs import Run

from .frame import frame
from .layouts import escaped, latex, markdown
from .plots import PLOTS
from .sheets import machine, remarks, setting, sheets, uncounted, warning
from .style import RC

__all__ = ["frame", "remarks", "setting", "sheets", "write"]


def write(run: Run, folder: Path) -> list[Path]:
    """Write comparison.md, .csv and .tex and every plot as PNG and SVG; returns the files.

    Raises:
        UserError: the folder cannot be written to.
    """
    table = frame(run)
    printed = sheets(run, table)
    notes = [f"{setting(run.case)}.", f"{machine(run.case, run.environment)}.", *remarks(run)]
    left_out = "\n".join(
        ["**Left at zero by each rule, beyond the plain host**", ""]
        + [f"- {escaped(line)}" for line in uncounted(run)]
        + [""]
    )
    text = {
        "comparison.md": "\n\n".join([*map(escaped, notes), *map(markdown, printed), left_out]),
        "comparison.csv": table.convert_dtypes().to_csv(index=False),
        "comparison.tex": "\n".join(
            [*(f"% {note}" for note in notes), *(latex(s, setting(run.case)) for s in printed)]
        ),
    }
    written = []
    try:
        for name, content in text.items():
            (folder / name).write_text(content, encoding="utf-8")
            written.append(folder / name)
        with mpl.rc_context(RC):
            for name, plot in PLOTS.items():
                figure = plot(table, setting(run.case) + warning(run))
                for kind in ("png", "svg"):
                    path = folder / f"{name}.{kind}"
                    figure.savefig(path, metadata={"Date": None} if kind == "svg" else None)
                    written.append(path)
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}") from error
    return written
