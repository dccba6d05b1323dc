"""Measured gains: each with its interval, and against measured latency."""

from __future__ import annotations

from math import nan
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from attnbench.formatting import title
from attnbench.records.trainings.schema import WIDER
from attnbench.records.variants import CONTROL
from attnbench.report.plots.drawing.canvas import Plot, canvas, noted, titled
from attnbench.report.plots.drawing.labels import label
from attnbench.report.plots.drawing.names import label_rows
from attnbench.report.plots.drawing.points import point
from attnbench.report.plots.drawing.rows import WIDEST_INTERVALS, Span, overhead, spoken, sure
from attnbench.report.plots.style import INK, REFERENCE, Shape, looks

SEEDS = "Vertical intervals: other seeds, on the same test images"
LABEL = "gain over plain host (points)"


def gain(table: pd.DataFrame, setting: str) -> Figure:
    """Plot each network's gain in percentage points, with its interval; the control shaded."""
    known = table[table["variant"] != CONTROL].sort_values("gain", ascending=False)
    figure, (axes,) = canvas(1.2 + 0.32 * max(len(known), 1))
    notes = "Intervals: other seeds, on the same test images."
    for _, row in table[table["variant"] == CONTROL].dropna(subset=["gain_low"]).iterrows():
        axes.axvspan(row["gain_low"], row["gain_high"], color=REFERENCE, alpha=0.25, linewidth=0)
        notes += " Grey: the control, plain against plain with other seeds."
    axes.axvline(0, color=REFERENCE, linewidth=0.8)
    look = _looks(known)
    for place, (_, row) in enumerate(known.iterrows()):
        point(axes, _span(row), place, look[row["variant"]], _words(row), pale=not _judged(row))
    label_rows(axes, list(known["variant"]))
    axes.set(ylim=(max(len(known), 1) - 0.4, -0.6), xlabel=LABEL)
    noted(figure, notes)
    return titled(figure, setting, table)


def gain_against_latency(table: pd.DataFrame, setting: str) -> Figure:
    """Plot each network's gain against its measured latency over the plain host."""
    known = _timed(table)
    figure, (axes,) = canvas(3.4)
    axes.axhline(0, color=REFERENCE, linewidth=0.8)
    axes.axvline(0, color=REFERENCE, linewidth=0.8)
    look = _looks(known)
    rows = [row for _, row in known.iterrows()]
    for row in rows:
        words = f"{spoken(row)}; {_words(row)}"
        point(axes, overhead(row), _span(row), look[row["variant"]], words, pale=not _judged(row))
    axes.margins(x=0.15, y=0.15)
    axes.set(xlabel="latency over plain host (%), measured here", ylabel=LABEL)
    noted(figure, f"{SEEDS}. Horizontal {WIDEST_INTERVALS}.")
    titled(figure, setting, table).draw_without_rendering()
    label(axes, [row["variant"] for row in rows], map(overhead, rows), map(_span, rows))
    return figure


def _timed(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["variant"] != CONTROL].dropna(subset=["ratio_between_runs"])


def _looks(known: pd.DataFrame) -> dict[str, Shape]:
    return looks(known["variant"]) | {WIDER: (INK, "*")}


def _judged(row: pd.Series[Any]) -> bool:
    return sure(row) and row["verdict"] != "none"


def _span(row: pd.Series[Any]) -> Span:
    low, high = row["gain_low"], row["gain_high"]
    return (row["gain"], nan, nan) if pd.isna(low) else (row["gain"], low, high)


def _words(row: pd.Series[Any]) -> str:
    middle, low, high = _span(row)
    ends = "[too few seeds]" if pd.isna(low) else f"[{low:+.2f}, {high:+.2f}]"
    verdict = row["verdict"] if row["verdict"] != "none" else "no verdict"
    return f"{title(row['variant'])} gains {middle:+.2f} {ends} points: {verdict}"


def _describe(table: pd.DataFrame) -> str:
    known = table[table["variant"] != CONTROL]
    return f"{'; '.join(_words(row) for _, row in known.iterrows())}."


def _describe_timed(table: pd.DataFrame) -> str:
    rows = (row for _, row in _timed(table).iterrows())
    return f"{'; '.join(f'{spoken(row)}, {_words(row)}' for row in rows)}."


GAIN_PLOTS = {
    "gain": Plot(
        "Gain over the plain host at equal training",
        gain,
        lambda table: bool((table["variant"] != CONTROL).any()),
        _describe,
    ),
    "gain_against_latency": Plot(
        "Measured gain against measured latency",
        gain_against_latency,
        lambda table: len(_timed(table)) > 0,
        _describe_timed,
    ),
}
