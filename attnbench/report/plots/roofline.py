"""Isolated modules below the roofline of the machine."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from attnbench.formatting import joined, title
from attnbench.report.plots.drawing.canvas import Plot, canvas, noted, titled
from attnbench.report.plots.drawing.labels import label
from attnbench.report.plots.drawing.names import LONGEST_BESIDE, tooltips, written
from attnbench.report.plots.drawing.points import point
from attnbench.report.plots.drawing.rows import Span, sure
from attnbench.report.plots.style import REFERENCE, looks
from attnbench.report.tables.table import UNKNOWN_OPERATORS

GIGA = 1e9


def roofline(table: pd.DataFrame, setting: str) -> Figure:
    """Plot multiply-accumulates a second against multiply-accumulates a byte, both logarithmic.

    The roofline of Williams, Waterman and Patterson (2009): it rises with the bandwidth of a large
    copy, and is level at the rate of a large product. A dash is a module's own roof: the rate of a
    copy of the very map that it sees, which may lie in a cache. A module without
    multiply-accumulates has no place in it and is named below. ``table`` is that of an isolated
    run.
    """
    known = table.dropna(subset=["bytes_per_s"])
    bandwidth, rate = ceilings(known)
    placed = known[known["macs"] > 0]
    figure, (axes,) = canvas(3.8)
    names = list(dict.fromkeys(placed["module"]))
    look, points, lines = looks(names), [], []
    for module, rows in placed.groupby("module", sort=False):
        across, up = zip(*((x, y[0]) for x, y in map(_place, _rows(rows))), strict=True)
        axes.plot(across, up, color=look[str(module)][0], linewidth=0.7, alpha=0.6)
    for _, row in placed.iterrows():
        x, y = _place(row)
        points.append((x, y))
        words = (
            f"{title(row['module'])}, stage {row['stage']:.0f}: {y[0]:,.3g} GMAC/s, "
            f"{x:.3g} multiply-accumulates a byte, {row['bytes_per_s'] / GIGA:.1f} GB/s"
        )
        point(axes, x, y, look[row["module"]], words, pale=not sure(row), size=5)
        own = _own_roof(row, rate)
        if np.isfinite(own):
            colour, _ = look[row["module"]]
            axes.plot([x], [own], color=colour, marker="_", markersize=9, markeredgecolor=colour)
            axes.lines[-1].set_markeredgewidth(1.4)
            lines.append((x / 1.3, own, x * 1.3, own))
    intensities = [x for x, _ in points] or [1.0]
    ridge = rate / bandwidth if np.isfinite(rate) else max(intensities)
    left, right = min(*intensities, ridge) / 3, max(*intensities, ridge) * 6
    along = np.geomspace(left, right, 200)
    roof = np.minimum(bandwidth * along, rate) / GIGA
    axes.plot(along, roof, color=REFERENCE, linewidth=1.2, label="large copy,\nlarge product")
    bends = list(zip(along[::8], roof[::8], strict=True))
    lines += [(*start, *end) for start, end in pairwise(bends)]
    if known["copy_bytes_per_s"].notna().any():
        axes.plot([], [], color=REFERENCE, marker="_", linestyle="none", label="copy of its map")
    for module in names:
        colour, marker = look[module]
        axes.plot([], [], color=colour, marker=marker, linestyle="none", label=written(module))
    axes.set(xscale="log", yscale="log", xlim=(left, right), ylabel="GMAC/s")
    axes.set_xlabel("intensity (multiply-accumulates a byte of memory traffic)")
    legend = axes.legend(
        loc="upper left",
        bbox_to_anchor=(1, 1),
        title="number: first or\nlast stage",
        title_fontsize=7,
    )
    tooltips(legend.get_texts()[-len(names) :] if names else [], names)
    noted(figure, _notes(known))
    titled(figure, setting, table).draw_without_rendering()
    label(
        axes,
        placed["module"],
        [x for x, _ in points],
        [y for _, y in points],
        _stages_at_ends(placed),
        size=7,
        lines=lines,
    )
    return figure


def _stages_at_ends(placed: pd.DataFrame) -> list[str]:
    """Return ``GC 1`` for each module's first and last stage; nothing for those between.

    A name that is too long beside its point is left to the legend.
    """
    module = placed["module"]
    between = module.duplicated() & module.duplicated(keep="last")
    texts = []
    for name, stage in zip(map(written, module), placed["stage"], strict=True):
        texts.append(f"{name} {stage:.0f}" if len(name) <= LONGEST_BESIDE else f"{stage:.0f}")
    return ["" if inner else text for inner, text in zip(between, texts, strict=True)]


def _place(row: pd.Series[Any]) -> tuple[float, Span]:
    """Return intensity, and 1e9 multiply-accumulates a second with the ends of its interval."""
    intensity = row["macs"] / row["moved_bytes"]
    median, low, high = (
        row[f"bytes_per_s{end}"] * intensity / GIGA for end in ("", "_low", "_high")
    )
    return intensity, (median, low, high)


def _own_roof(row: pd.Series[Any], rate: float) -> float:
    """Return the module's 1e9 multiply-accumulates a second at its copy's rate; NaN without one."""
    own: float = row["copy_bytes_per_s"] * row["macs"] / row["moved_bytes"]
    return min(own, rate) / GIGA


def _placed(known: pd.DataFrame) -> list[pd.Series[Any]]:
    return _rows(known[known["macs"] > 0])


def _rows(table: pd.DataFrame) -> list[pd.Series[Any]]:
    return [row for _, row in table.iterrows()]


def _without(known: pd.DataFrame) -> list[str]:
    """Return the modules that have no multiply-accumulates at any stage."""
    most = known.groupby("module", sort=False)["macs"].max()
    return [str(module) for module in most.index[most == 0]]


def _not_fully_counted(known: pd.DataFrame) -> list[str]:
    """Return the modules with unknown operators; tables from files have NaN for empty text."""
    rows = [(row["module"], row.get(UNKNOWN_OPERATORS.key)) for _, row in known.iterrows()]
    return list(dict.fromkeys(name for name, ran in rows if isinstance(ran, str) and ran))


def _notes(known: pd.DataFrame) -> str:
    placed = known[known["macs"] > 0]
    joins = "A line joins a module's stages in their order. "
    notes = joins * bool(placed["module"].duplicated().any())
    notes += "Vertical intervals: within this run."
    without = _without(known)
    bandwidth, rate = ceilings(known)
    if known["copy_bytes_per_s"].notna().any():
        notes += " Dashes: the roof of each, a copy of the map that it sees."
    elif any(y[1] > min(bandwidth * x, rate) / GIGA for x, y in map(_place, _rows(placed))):
        notes += " Above the roof: probably from a cache, faster than a large copy."
    if modules := _not_fully_counted(known):
        notes += f" Not fully counted, so higher than drawn: {joined(map(title, modules))}."
    if without:
        notes += f" No multiply-accumulates, so no place here: {joined(map(title, without))}."
    return notes


def ceilings(known: pd.DataFrame) -> tuple[float, float]:
    """Return bytes a second of the copy and multiply-accumulates a second of the product.

    A share is the ceiling's time over the module's own, so the product's rate is the module's over
    its share; the median of all rows that have one.
    """
    multiplied = known[known["macs"] > 0]
    bandwidth = known["memory_bytes_per_s"]
    rate = multiplied["macs"] / multiplied["latency_s"] / multiplied["compute_share"]
    return float(bandwidth.median()), float(rate.median()) if len(rate) else np.inf


def _describe(table: pd.DataFrame) -> str:
    known = table.dropna(subset=["bytes_per_s"])
    bandwidth, rate = ceilings(known)
    placed = _placed(known)
    roofs = [_own_roof(row, rate) for row in placed]
    below = [f" below {own:,.3g}" if np.isfinite(own) else "" for own in roofs]
    points = ", ".join(
        f"{title(row['module'])} stage {row['stage']:.0f} {y[0]:,.3g}{roof} at {x:.3g}"
        for row, roof, (x, y) in zip(placed, below, map(_place, placed), strict=True)
    )
    product = f", a large product {rate / GIGA:.1f} GMAC/s" if np.isfinite(rate) else ""
    return (
        f"GMAC/s at multiply-accumulates a byte, where a large copy reaches "
        f"{bandwidth / GIGA:.1f} GB/s{product}: {points or 'none'}. {_notes(known)}"
    )


ISOLATED_PLOTS: dict[str, Plot] = {
    "roofline": Plot(
        "Isolated modules below the machine's roofline",
        roofline,
        lambda table: bool(table[["bytes_per_s", "memory_bytes_per_s"]].notna().all(axis=1).any()),
        _describe,
    )
}
