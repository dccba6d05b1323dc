"""A module's overhead over the runs of one machine and configuration."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from attnbench.formatting import title
from attnbench.report.plots.drawing.canvas import Plot, canvas, noted, titled
from attnbench.report.plots.drawing.names import no_formula, tooltips, written
from attnbench.report.plots.drawing.points import point
from attnbench.report.plots.drawing.rows import WIDEST_INTERVALS, bracketed, overhead, percent
from attnbench.report.plots.style import REFERENCE, looks

MOST_LABELS = 6
"""Runs that are named along the axis; of more, only some."""

APART = 0.3
"""How far modules stand from their run at most, so that whiskers can be told apart."""


def overhead_over_time(table: pd.DataFrame, setting: str) -> Figure:
    """Plot latency over the plain host run by run, one line a module, runs evenly spaced.

    ``table`` has a row a run and module: ``variant``, ``began``, ``ratio_between_runs`` with its
    ends, ``verdict``, ``changed`` and ``control_fault``. A dashed line marks a run from which on a
    module's ratio is significantly another.
    """
    times = sorted(set(table["began"]))
    places = {time: float(place) for place, time in enumerate(times)}
    look = looks(table["variant"])
    variants = list(dict.fromkeys(table["variant"]))
    shift = dict(zip(variants, np.linspace(-APART, APART, len(variants) + 2)[1:-1], strict=True))
    figure, (axes,) = canvas(3.4)
    axes.axhline(0, color=REFERENCE, linewidth=0.8)
    for variant, rows in table.groupby("variant", sort=False):
        colour, marker = look[str(variant)]
        at = rows["began"].map(places) + shift[variant]
        axes.plot(at, percent(rows["ratio_between_runs"]), color=colour, linewidth=1)
        for place, (_, row) in zip(at, rows.iterrows(), strict=True):
            if row["changed"]:
                axes.axvline(
                    places[row["began"]] - 0.5, color=colour, linewidth=0.8, linestyle="--"
                )
            pale = bool(row["control_fault"])
            point(axes, place, overhead(row), (colour, marker), _words(row), pale=pale)
        axes.plot([], [], color=colour, marker=marker, label=written(str(variant)))
    named = times[:: -(-len(times) // MOST_LABELS)]
    labels = ["\n".join(map(no_formula, _parts(time))) for time in named]
    axes.set_xticks([places[time] for time in named], labels, fontsize=7)
    axes.set(xlabel="runs in order of time", ylabel="latency over plain host (%)")
    legend = axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    tooltips(legend.get_texts(), dict.fromkeys(table["variant"]))
    notes = f"Latency: {WIDEST_INTERVALS}. Dashed: significantly another from here on."
    noted(figure, notes)
    return titled(figure, setting, table)


def _parts(time: str) -> tuple[str, str]:
    """Return date and time of day to the minute, as they stand above each other."""
    date, _, clock = time.partition("T")
    return date, clock[:5]


def _words(row: pd.Series[Any]) -> str:
    middle, *ends = overhead(row)
    shown = title(row["variant"])
    return f"{shown} {middle:+.1f}% {bracketed(*ends)} in {row['run']}, {row['verdict']}"


def _describe(table: pd.DataFrame) -> str:
    sentences = []
    for variant, rows in table.groupby("variant", sort=False):
        ratios = ", ".join(f"{percent(ratio):+.1f}%" for ratio in rows["ratio_between_runs"])
        sentences.append(f"{title(str(variant))} {ratios}.")
    return f"Latency over the plain host, run by run. {' '.join(sentences)}"


HISTORY_PLOTS: dict[str, Plot] = {
    "history": Plot(
        "Latency over the plain host, run by run",
        overhead_over_time,
        lambda table: bool(table["began"].nunique() > 1),
        _describe,
    )
}
