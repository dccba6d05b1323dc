"""Overhead across a grid of configurations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import exp, log
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnbench.formatting import title
from attnbench.records import image_size
from attnbench.report.plots.drawing.canvas import Plot, canvas, noted, titled
from attnbench.report.plots.drawing.names import no_formula, tooltips, written
from attnbench.report.plots.drawing.points import point
from attnbench.report.plots.drawing.rows import (
    WIDEST_INTERVALS,
    modules,
    overhead,
    percent,
    spoken,
    sure,
)
from attnbench.report.plots.run import PLOTS, memory
from attnbench.report.plots.style import REFERENCE, Shape, looks
from attnbench.report.tables.columns import CONFIGURATION

AXES = ("batch_size", "image_size")
"""What may vary along the horizontal axis."""

SETTINGS = [
    column.key
    for column in CONFIGURATION
    if column.key not in {"run", "seed", "time", "control_fault"}
]
"""What else may differ between the runs of a grid; each combination has its own panel."""


def overhead_across_grid(table: pd.DataFrame, setting: str) -> Figure:
    """Plot latency over the plain host against batch size and image size, one line a module.

    ``table`` is that of ``attnbench.read``. Each of the two that varies has a panel for each
    combination of the other settings.
    """
    panels = list(_panels(table))
    figure, canvases = canvas(0.6 + 2.6 * len(panels), rows=len(panels))
    look = looks(modules(table, "ratio")["variant"])
    for axes, (along, heading, part) in zip(canvases, panels, strict=True):
        _lines(axes, along, part, look)
        axes.set_title(no_formula(heading), fontsize=8, loc="left")
    noted(figure, f"Latency: {WIDEST_INTERVALS}.")
    return titled(figure, setting, pd.concat([part for *_, part in panels]))


def _panels(table: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Yield for each panel what varies along its lines, its heading and its rows."""
    known = modules(table, "ratio")
    differing = [key for key in SETTINGS if key in known and known[key].nunique() > 1]
    for along in AXES:
        ordered = known.sort_values(along, key=lambda column: column.map(_order), kind="stable")
        others = [key for key in differing if key != along]
        for values, part in ordered.groupby(others, dropna=False) if others else [((), ordered)]:
            if part[along].nunique() > 1:
                yield along, ", ".join(map(_named, others, values)), part


def _named(key: str, value: object = True) -> str:
    """Return a setting's name, or its value, with its name where that alone is unclear."""
    setting = key.replace("_", " ")
    if isinstance(value, bool):
        return setting if value else f"not {setting}"
    clear = key in {"host", "mode", "dtype", "runtime", "device", "processor"}
    return str(value) if clear else f"{setting} {value}"


def _lines(axes: Axes, along: str, part: pd.DataFrame, look: Mapping[str, Shape]) -> None:
    axes.axhline(0, color=REFERENCE, linewidth=0.8)
    places, setting = _places(part[along]), _named(along)
    for variant, rows in part.groupby("variant", sort=False):
        colour, marker = look[str(variant)]
        # Several runs of one configuration are points at one place, and their mean is the line's.
        means = rows["ratio"].map(log).groupby(rows[along], sort=False).mean().map(exp)
        axes.plot(means.index.map(places), percent(means), color=colour, linewidth=1)
        for _, row in rows.iterrows():
            x, words = places[row[along]], f"{spoken(row)} at {setting} {row[along]}"
            point(axes, x, overhead(row), (colour, marker), words, pale=not sure(row))
        axes.plot([], [], color=colour, marker=marker, label=written(str(variant)))
    if list(places) == list(places.values()):
        axes.set_xscale("log", base=2)
    axes.set_xticks(list(places.values()), [str(value) for value in places])
    axes.minorticks_off()
    axes.set(xlabel=setting, ylabel="latency over plain host (%)")
    legend = axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    tooltips(legend.get_texts(), dict.fromkeys(part["variant"]))


def _places(values: pd.Series[Any]) -> dict[Any, float]:
    """Return the position of each value: itself, or its rank where images are not all square."""
    ranked = any(isinstance(value, str) for value in values)
    ordered = enumerate(dict.fromkeys(values))
    return {value: float(rank if ranked else value) for rank, value in ordered}


def _order(value: object) -> tuple[int, int]:
    """Return what a batch or image size is sorted by: its pixels, then its height."""
    height, width = image_size.sides(image_size.parse(str(value)))
    return height * width, height


def _describe(table: pd.DataFrame) -> str:
    sentences = []
    for along, heading, part in _panels(table):
        for variant, rows in part.groupby("variant", sort=False):
            points = ", ".join(
                f"{percent(row['ratio']):+.1f}% at {row[along]}"
                f"{'' if sure(row) else ' (no verdict)'}"
                for _, row in rows.iterrows()
            )
            sentences.append(f"{title(str(variant))} {points}")
        sentences[-1] += f" ({_named(along)}{'; ' + heading if heading else ''})."
    return f"Latency over the plain host. {' '.join(sentences)}"


def _one_bar_each(table: pd.DataFrame) -> bool:
    known = memory(table)
    return known["mode"].nunique() > 1 and not known.duplicated(["variant", "mode"]).any()


GRID_PLOTS: dict[str, Plot] = {
    "overhead_across_grid": Plot(
        "Latency over the plain host across the grid",
        overhead_across_grid,
        lambda table: any(_panels(table)),
        _describe,
    ),
    "memory_across_modes": replace(PLOTS["memory_overhead"], fits=_one_bar_each),
}
