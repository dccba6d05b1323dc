"""The figure that plots draw into: its panels, its setting, notes and legend."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from textwrap import fill

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from attnbench.report.plots.drawing.names import no_formula, tooltips, written
from attnbench.report.plots.drawing.rows import of_issuing, sure
from attnbench.report.plots.style import NOTES, RC, SETTING, Shape
from attnbench.report.tables.run import FAILED, WAITED


@dataclass(frozen=True)
class Plot:
    """A plot: what draws it, whether a table has its data, and its text alternative."""

    caption: str
    draw: Callable[[pd.DataFrame, str], Figure]
    fits: Callable[[pd.DataFrame], bool]
    describe: Callable[[pd.DataFrame], str]


LINE = 78
"""Characters of a line of notes across the figure."""


def canvas(
    height: float, rows: int = 1, columns: int = 1, *, sharex: bool = False
) -> tuple[Figure, list[Axes]]:
    """Return a figure as wide as a column of print, ``height`` in inches, and its panels."""
    with mpl.rc_context(RC):
        figure = Figure(figsize=(5.2, height), layout="constrained")
        panels = figure.subplots(rows, columns, sharex=sharex, sharey=rows == 1, squeeze=False)
        return figure, list(panels.flat)


def titled(figure: Figure, setting: str, table: pd.DataFrame, *, exact: bool = False) -> Figure:
    """Return the figure under its setting, which also says whether controls held.

    Of several runs the points show which; ``exact`` figures are valid whatever a control says.
    """
    held = [sure(row) for _, row in table.iterrows()]
    if not exact:
        if not any(held):
            setting += FAILED
        elif not all(held):
            setting += "; pale and hollow: too noisy to judge"
        if any(of_issuing(row) for _, row in table.iterrows()):
            setting += WAITED
    text = wrapped(no_formula(setting))
    figure.suptitle(text, fontsize=8, x=0.01, ha="left").set_gid(SETTING)
    return figure


def noted(figure: Figure, notes: str) -> None:
    """Write what the plot means below it."""
    figure.supxlabel(wrapped(notes), fontsize=8, x=0.01, ha="left").set_gid(NOTES)


def wrapped(text: str) -> str:
    """Return text in lines across the figure, broken between words: a page joins them again."""
    return fill(text, LINE, break_on_hyphens=False)


def legend_below(
    figure: Figure, look: Mapping[str, Shape], variants: Sequence[str], notes: str
) -> None:
    """Draw notes and a legend below the figure, for names that are too long beside their points."""
    shapes, names = [look[variant] for variant in variants], list(map(written, variants))
    points = [Line2D([], [], color=colour, marker=marker, ls="none") for colour, marker in shapes]
    legend = figure.legend(
        points,
        names,
        loc="outside lower left",
        ncols=3,
        fontsize=7,
        frameon=False,
        title=wrapped(notes),
        title_fontsize=8,
        alignment="left",
    )
    tooltips(legend.get_texts(), variants)
    figure.set_figheight(figure.get_figheight() + 0.2 + 0.17 * ceil(len(variants) / 3))
