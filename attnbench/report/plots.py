"""Each plot is one function from the DataFrame of a run to a figure, usable alone."""

from __future__ import annotations

from collections.abc import Callable

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnbench.records import CONTROL, PLAIN
from attnbench.units import MIB

from .sheets import title
from .style import RC, REFERENCE, looks

Plot = Callable[[pd.DataFrame, str], Figure]


def latency_overhead(table: pd.DataFrame, setting: str) -> Figure:
    """Latency over the plain host in percent, ordered, with 95% intervals; the control shaded."""
    timed = _modules(table).dropna(subset=["ratio"]).sort_values("ratio")
    figure, axes = _canvas(height=0.9 + 0.32 * max(len(timed), 1))
    control = table[table["variant"] == CONTROL]
    for _, row in control.dropna(subset=["ratio"]).iterrows():
        low, high = _percent(row["ratio_low"]), _percent(row["ratio_high"])
        if np.isfinite([low, high]).all():
            label = "control: plain against plain, 95% interval"
            axes.axvspan(low, high, color=REFERENCE, alpha=0.25, linewidth=0, label=label)
    axes.axvline(0, color=REFERENCE, linewidth=0.8)
    look = looks(list(timed["variant"]))
    for place, (_, row) in enumerate(timed.iterrows()):
        colour, marker = look[row["variant"]]
        x, error = _with_error(row)
        axes.errorbar(
            x,
            place,
            xerr=error,
            fmt=marker,
            color=colour,
            capsize=3,
            markeredgecolor="black",
            markeredgewidth=0.4,
        )
    axes.set_yticks(range(len(timed)), [title(name) for name in timed["variant"]])
    axes.set_ylim(-0.6, len(timed) - 0.4)
    axes.set_xlabel("latency over plain host (%)")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right", frameon=False, fontsize=7)
    return _titled(figure, setting)


def params_against_latency(table: pd.DataFrame, setting: str) -> Figure:
    """Added parameters (logarithmic) against latency over the plain host in percent."""
    known = _modules(table).dropna(subset=["ratio", "added_params"])
    figure, axes = _canvas(height=3.2)
    axes.axhline(0, color=REFERENCE, linewidth=0.8)
    look = looks(list(known["variant"]))
    for _, row in known.iterrows():
        colour, marker = look[row["variant"]]
        y, error = _with_error(row)
        axes.errorbar(
            row["added_params"],
            y,
            yerr=error,
            fmt=marker,
            color=colour,
            capsize=3,
            markeredgecolor="black",
            markeredgewidth=0.4,
        )
        axes.annotate(
            title(row["variant"]),
            (row["added_params"], y + (error[1][0] if error else 0)),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
        )
    axes.set_xscale("symlog", linthresh=10)
    axes.set_xlim(0, max([10, *known["added_params"]]) * 8)
    axes.set_xlabel("added learnable parameters")
    axes.set_ylabel("latency over plain host (%)")
    return _titled(figure, setting)


def memory_overhead(table: pd.DataFrame, setting: str) -> Figure:
    """Peak of live bytes of one step over the plain host in MiB, ordered."""
    known = _modules(table).dropna(subset=["peak_live_bytes", "peak_live_ratio"])
    known = known.sort_values("peak_live_bytes")
    figure, axes = _canvas(height=0.9 + 0.32 * max(len(known), 1))
    look = looks(list(known["variant"]))
    plain = known["peak_live_bytes"] / known["peak_live_ratio"]
    added = (known["peak_live_bytes"] - plain) / MIB
    colours = [look[name][0] for name in known["variant"]]
    bars = axes.barh(range(len(known)), added, color=colours, height=0.6)
    axes.bar_label(bars, [f"{_percent(r):+.1f}%" for r in known["peak_live_ratio"]], padding=3)
    axes.set_yticks(range(len(known)), [title(name) for name in known["variant"]])
    axes.axvline(0, color=REFERENCE, linewidth=0.8)
    axes.margins(x=0.15)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("peak of live bytes over plain host (MiB)")
    return _titled(figure, setting)


PLOTS: dict[str, Plot] = {
    "latency_overhead": latency_overhead,
    "params_against_latency": params_against_latency,
    "memory_overhead": memory_overhead,
}


def _modules(table: pd.DataFrame) -> pd.DataFrame:
    return table[~table["variant"].isin([PLAIN, CONTROL])]


def _percent(ratio: float) -> float:
    return (ratio - 1) * 100


def _with_error(row: pd.Series) -> tuple[float, list[list[float]] | None]:  # type: ignore[type-arg]
    middle, low, high = (_percent(row[key]) for key in ("ratio", "ratio_low", "ratio_high"))
    finite = bool(np.isfinite([low, high]).all())
    return middle, [[middle - low], [high - middle]] if finite else None


def _canvas(height: float) -> tuple[Figure, Axes]:
    with mpl.rc_context(RC):
        figure = Figure(figsize=(5.2, height), layout="constrained")
        return figure, figure.subplots()


def _titled(figure: Figure, setting: str) -> Figure:
    figure.suptitle(setting, fontsize=8, x=0.01, ha="left")
    return figure
