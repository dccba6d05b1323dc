"""Overhead across a grid of configurations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnbench.formatting import title
from attnbench.records import image_size
from attnbench.report.plots.drawing import (
    Plot,
    modules,
    name,
    percent,
    point,
    spoken,
    sure,
    timed,
    titled,
    with_error,
    written,
)
from attnbench.report.plots.run import PLOTS
from attnbench.report.plots.style import RC, REFERENCE, looks

AXES = {"batch_size": "batch size", "image_size": "image size"}
"""What a line may run along."""

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
"""What else may differ between the runs of a grid; each combination has a panel of its own."""


def overhead_across_grid(table: pd.DataFrame, setting: str) -> Figure:
    """Latency over the plain host against batch size and image size, one line a module.

    ``table`` is that of ``attnbench.read``. A panel for each of the two that varies and for each
    combination of whatever else does.
    """
    panels = list(_panels(table))
    with mpl.rc_context(RC):
        figure = Figure(figsize=(5.2, 0.6 + 2.6 * len(panels)), layout="constrained")
        canvases = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
    for axes, (along, heading, part) in zip(canvases, panels, strict=True):
        _lines(axes, along, part)
        axes.set_title(heading, fontsize=8, loc="left")
    return titled(figure, setting, pd.concat([part for *_, part in panels]))


def _panels(table: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """What runs along the lines, the name of the rest, and the rows, for each panel."""
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
    what = AXES.get(key, key.replace("_", " "))
    if isinstance(value, bool):
        return what if value else f"not {what}"
    speaks = key in {"host", "mode", "dtype", "device", "processor"}
    return str(value) if speaks else f"{what} {value}"


def _lines(axes: Axes, along: str, part: pd.DataFrame) -> None:
    look = looks(list(dict.fromkeys(part["variant"])))
    axes.axhline(0, color=REFERENCE, linewidth=0.8)
    places = _places(part[along])
    for variant, its in _sorted(part, along).groupby("variant", sort=False):
        colour, marker = look[str(variant)]
        axes.plot(its[along].map(places), percent(its["ratio"]), color=colour, linewidth=1)
        for _, row in its.iterrows():
            y, error = with_error(row)
            words = f"{spoken(row)} at {AXES[along]} {row[along]}"
            x, shape = places[row[along]], (colour, marker)
            point(axes, x, y, shape, words, yerr=error, pale=not sure(row))
        axes.plot([], [], color=colour, marker=marker, label=written(str(variant)))
    if list(places) == list(places.values()):
        axes.set_xscale("log", base=2)
    axes.set_xticks(list(places.values()), [str(value) for value in places])
    axes.minorticks_off()
    axes.set_xlabel(AXES[along])
    axes.set_ylabel("latency over plain host (%)")
    legend = axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    name(legend.get_texts(), dict.fromkeys(_sorted(part, along)["variant"]))


def _places(values: pd.Series[Any]) -> dict[Any, float]:
    """Where each value stands along the line: at itself, or side by side where images have two
    sides that differ (``800x1333``), of which none is the place."""
    found = sorted(set(values), key=_order)
    if any(isinstance(value, str) for value in found):
        return {value: float(number) for number, value in enumerate(found)}
    return {value: float(value) for value in found}


def _order(value: object) -> tuple[int, int]:
    """A batch by its images, an image by its pixels; those of as many by their height."""
    height, width = image_size.sides(image_size.parse(str(value)))
    return height * width, height


def _sorted(part: pd.DataFrame, along: str) -> pd.DataFrame:
    return part.sort_values(along, key=lambda column: column.map(_order))


def _describe(table: pd.DataFrame) -> str:
    said = []
    for along, heading, part in _panels(table):
        for variant, its in _sorted(part, along).groupby("variant", sort=False):
            points = ", ".join(
                f"{percent(row['ratio']):+.1f}% at {row[along]}"
                + ("" if sure(row) else " (no verdict)")
                for _, row in its.iterrows()
            )
            said.append(f"{title(str(variant))} {points}")
        said[-1] += f" ({AXES[along]}{'; ' + heading if heading else ''})."
    return f"Latency over the plain host. {' '.join(said)}"


def _one_bar_each(table: pd.DataFrame) -> bool:
    known = modules(table).dropna(subset=["peak_live_ratio"])
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
