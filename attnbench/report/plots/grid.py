"""Overhead across a grid of configurations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnbench.formatting import title
from attnbench.records import image_size
from attnbench.report.plots import drawing
from attnbench.report.plots.drawing import Plot, percent, point, spoken, sure, timed
from attnbench.report.plots.run import PLOTS
from attnbench.report.plots.style import REFERENCE, looks

AXES = {"batch_size": "batch size", "image_size": "image size"}
"""What may vary along the horizontal axis."""

SETTINGS = (
    "host",
    "mode",
    "dtype",
    "channels_last",
    "compiled",
    "cuda_graph",
    "stages",
    "blocks",
    "device",
    "threads",
    "processor",
    "torch",
)
"""What else may differ between the runs of a grid; each combination has its own panel."""


def overhead_across_grid(table: pd.DataFrame, setting: str) -> Figure:
    """Plot latency over the plain host against batch size and image size, one line a module.

    ``table`` is that of ``attnbench.read``. Each of the two that varies has a panel for each
    combination of the other settings.
    """
    panels = list(_panels(table))
    figure, canvases = drawing.canvas(0.6 + 2.6 * len(panels), rows=len(panels))
    for axes, (along, heading, part) in zip(canvases, panels, strict=True):
        _lines(axes, along, part)
        axes.set_title(heading, fontsize=8, loc="left")
    return drawing.titled(figure, setting, pd.concat([part for *_, part in panels]))


def _panels(table: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Yield for each panel what varies along its lines, its heading and its rows."""
    known = timed(table)
    for along in AXES:
        others = [
            key
            for key in (*AXES, *SETTINGS)
            if key != along and key in known and known[key].nunique() > 1
        ]
        for values, part in known.groupby(others, dropna=False) if others else [((), known)]:
            if part[along].nunique() > 1:
                named = (_named(key, value) for key, value in zip(others, values, strict=True))
                yield along, ", ".join(named), part


def _named(key: str, value: object) -> str:
    setting = AXES.get(key, key.replace("_", " "))
    if isinstance(value, bool):
        return setting if value else f"not {setting}"
    clear = key in {"host", "mode", "dtype", "device", "processor"}
    return str(value) if clear else f"{setting} {value}"


def _lines(axes: Axes, along: str, part: pd.DataFrame) -> None:
    look = looks(list(dict.fromkeys(part["variant"])))
    axes.axhline(0, color=REFERENCE, linewidth=0.8)
    places = _places(part[along])
    for variant, rows in _sorted(part, along).groupby("variant", sort=False):
        colour, marker = look[str(variant)]
        axes.plot(rows[along].map(places), percent(rows["ratio"]), color=colour, linewidth=1)
        for _, row in rows.iterrows():
            y, error = drawing.with_error(row)
            words = f"{spoken(row)} at {AXES[along]} {row[along]}"
            x, shape = places[row[along]], (colour, marker)
            point(axes, x, y, shape, words, yerr=error, pale=not sure(row))
        axes.plot([], [], color=colour, marker=marker, label=drawing.written(str(variant)))
    if list(places) == list(places.values()):
        axes.set_xscale("log", base=2)
    axes.set_xticks(list(places.values()), [str(value) for value in places])
    axes.minorticks_off()
    axes.set_xlabel(AXES[along])
    axes.set_ylabel("latency over plain host (%)")
    legend = axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    drawing.tooltips(legend.get_texts(), dict.fromkeys(_sorted(part, along)["variant"]))


def _places(values: pd.Series[Any]) -> dict[Any, float]:
    """Return the position of each value: itself, or its rank where images are not all square."""
    ordered = sorted(set(values), key=_order)
    if any(isinstance(value, str) for value in ordered):
        return {value: float(rank) for rank, value in enumerate(ordered)}
    return {value: float(value) for value in ordered}


def _order(value: object) -> tuple[int, int]:
    """Return what a batch or image size is sorted by: its pixels, then its height."""
    height, width = image_size.sides(image_size.parse(str(value)))
    return height * width, height


def _sorted(part: pd.DataFrame, along: str) -> pd.DataFrame:
    return part.sort_values(along, key=lambda column: column.map(_order))


def _describe(table: pd.DataFrame) -> str:
    sentences = []
    for along, heading, part in _panels(table):
        for variant, rows in _sorted(part, along).groupby("variant", sort=False):
            points = ", ".join(
                f"{percent(row['ratio']):+.1f}% at {row[along]}"
                + ("" if sure(row) else " (no verdict)")
                for _, row in rows.iterrows()
            )
            sentences.append(f"{title(str(variant))} {points}")
        sentences[-1] += f" ({AXES[along]}{'; ' + heading if heading else ''})."
    return f"Latency over the plain host. {' '.join(sentences)}"


def _one_bar_each(table: pd.DataFrame) -> bool:
    known = drawing.modules(table).dropna(subset=["peak_live_ratio"])
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
