"""The plots of a report: each is drawn once, for its files and for every page that shows it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import pandas as pd
from markupsafe import Markup

from attnbench.records.run import Run
from attnbench.report import svg
from attnbench.report.drawing import Plot
from attnbench.report.frame import control_fault
from attnbench.report.grid_plots import GRID_PLOTS
from attnbench.report.page import Picture
from attnbench.report.plots import PLOTS
from attnbench.report.roofline import ALONE_PLOTS
from attnbench.report.style import RC


@dataclass(frozen=True)
class Drawing:
    """A plot that was drawn: under what name, what it says in words, and both kinds of file."""

    name: str
    caption: str
    words: str
    svg: str
    png: bytes


def of_run(run: Run, table: pd.DataFrame) -> list[Drawing]:
    """Every plot for which the run, whose frame is ``table``, has data."""
    plots = ALONE_PLOTS if run.case.isolated else PLOTS
    known = table.assign(mode=run.case.mode, control_fault=control_fault(run))
    return _drawn(plots, known, run.case.described)


def of_grid(table: pd.DataFrame, setting: str) -> list[Drawing]:
    """Every plot that several runs have in common, given their tidy table."""
    return _drawn(GRID_PLOTS, table, setting)


def on_page(drawings: Sequence[Drawing], prefix: str) -> list[Picture]:
    """The drawings as parts of a page; ``prefix`` tells them from others on it."""
    return [
        Picture(each.caption, Markup(svg.inline(each.svg, f"{prefix}-{each.name}")), each.words)
        for each in drawings
    ]


def files(drawings: Sequence[Drawing]) -> dict[str, str | bytes]:
    """The drawings as files by their names."""
    found: dict[str, str | bytes] = {}
    for each in drawings:
        found |= {f"{each.name}.svg": each.svg, f"{each.name}.png": each.png}
    return found


def _drawn(plots: Mapping[str, Plot], table: pd.DataFrame, setting: str) -> list[Drawing]:
    drawings = []
    with mpl.rc_context(RC), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the SVG has its text all the same
        for name, plot in plots.items():
            if not plot.fits(table):
                continue
            figure = plot.draw(table, setting)
            words = plot.describe(table)
            as_svg = svg.as_svg(figure, alternative=words)
            figure.set_layout_engine("none")  # it is laid out; the pixels need it no second time
            drawings.append(Drawing(name, plot.caption, words, as_svg, svg.as_png(figure)))
    return drawings
