"""Overhead on several machines: a panel a machine, a line a module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnbench.report.plots.drawing.canvas import Plot, canvas, legend_below, titled
from attnbench.report.plots.drawing.names import no_formula
from attnbench.report.plots.drawing.points import point
from attnbench.report.plots.drawing.rows import (
    WIDEST_INTERVALS,
    modules,
    overhead,
    percent,
    spoken,
    sure,
)
from attnbench.report.plots.style import REFERENCE, Shape, looks

FEW = 3
"""Configurations whose names fit below a panel without being turned."""

SIDE = 0.12
"""By how much the modules of one configuration stand apart, at most to either side."""


def overhead_by_machine(table: pd.DataFrame, setting: str) -> Figure:
    """Plot latency over the plain host by configuration: a panel a machine, a line a module.

    ``table`` is that of ``places.placed``.
    """
    known = modules(table, "ratio")
    machines = list(dict.fromkeys(known["machine"]))
    places = {name: place for place, name in enumerate(dict.fromkeys(known["configuration"]))}
    height = 1.0 + 2.2 * len(machines) + (1.0 if len(places) > FEW else 0.0)
    figure, canvases = canvas(height, rows=len(machines), sharex=True)
    look = looks(known["variant"])
    for axes, machine in zip(canvases, machines, strict=True):
        _lines(axes, known[known["machine"] == machine], places, look)
        axes.set_title(no_formula(machine), fontsize=8, loc="left")
    turned: dict[str, Any] = {"rotation": 30, "ha": "right"} if len(places) > FEW else {}
    labels = [no_formula(name) for name in places]
    canvases[-1].set_xticks(list(places.values()), labels, fontsize=7, **turned)
    variants = list(dict.fromkeys(known["variant"]))
    notes = f"Each ratio is to the plain host on the same machine; {WIDEST_INTERVALS}."
    legend_below(figure, look, variants, notes)
    return titled(figure, setting, known)


def _lines(
    axes: Axes, part: pd.DataFrame, places: Mapping[str, int], look: Mapping[str, Shape]
) -> None:
    axes.axhline(0, color=REFERENCE, linewidth=0.8)
    axes.set_xlim(-0.5, len(places) - 0.5)
    axes.set_ylabel("over plain host (%)")
    groups = list(part.groupby("variant", sort=False))
    for number, (variant, unsorted) in enumerate(groups):
        rows = unsorted.sort_values("configuration", key=lambda names: names.map(places))
        colour, marker = look[str(variant)]
        aside = SIDE * (2 * (number + 0.5) / len(groups) - 1)
        at = rows["configuration"].map(places) + aside
        axes.plot(at, percent(rows["ratio"]), color=colour, linewidth=1)
        for x, (_, row) in zip(at, rows.iterrows(), strict=True):
            words = f"{spoken(row)} on {row['machine']}, {row['configuration']}"
            point(axes, x, overhead(row), (colour, marker), words, pale=not sure(row))


def _describe(table: pd.DataFrame) -> str:
    known = modules(table, "ratio")
    parts = []
    for machine, rows in known.groupby("machine", sort=False):
        points = [f"{spoken(row)} ({row['configuration']})" for _, row in rows.iterrows()]
        parts.append(f"{machine}: {'; '.join(points)}.")
    return f"Latency over the plain host of the same machine. {' '.join(parts)}"


def _fits(table: pd.DataFrame) -> bool:
    return bool(modules(table, "ratio")["machine"].nunique() > 1)


MACHINE_PLOTS = {
    "overhead_by_machine": Plot(
        "Latency over the plain host, by machine", overhead_by_machine, _fits, _describe
    )
}
