"""Isolated modules below the ceilings of the machine."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from attnbench.formatting import title
from attnbench.report.plots.drawing import Plot, canvas, point, sure, titled, tooltips, written
from attnbench.report.plots.style import REFERENCE, looks

GIGA = 1e9
LEAST_INTENSITY = 1e-3
"""Multiply-accumulates a byte; modules with fewer, or none, are placed side by side left of it."""


def roofline(table: pd.DataFrame, setting: str) -> Figure:
    """Plot the bytes a second that each module reaches against its multiply-accumulates a byte.

    The roofline of Williams, Waterman and Patterson (2009) with traffic on its vertical axis, so
    that a module without multiplications has a place. The level roof is the bandwidth of a large
    copy, the falling one the rate of a large product. ``table`` is that of an isolated run.
    """
    known = table.dropna(subset=["bytes_per_s"])
    bandwidth, rate = ceilings(known)
    figure, (axes,) = canvas(3.6)
    names = list(dict.fromkeys(known["module"]))
    intensity = known["macs"] / known["moved_bytes"]
    beside = [LEAST_INTENSITY / 1.5 ** (names.index(module) + 1) for module in known["module"]]
    intensity = intensity.where(intensity >= LEAST_INTENSITY, beside)
    left, right = float(intensity.min()) / 2, max(float(intensity.max()) * 10, 10.0)
    along = np.geomspace(left, right, 200)
    axes.axvline(LEAST_INTENSITY, color=REFERENCE, linewidth=0.8, linestyle=":")
    roof, label = np.minimum(bandwidth, rate / along) / GIGA, "large copy,\nlarge product"
    axes.plot(along, roof, color=REFERENCE, linewidth=1.2, label=label)
    look = looks(names)
    for x, (_, row) in zip(intensity, known.iterrows(), strict=True):
        y, low, high = (row[f"bytes_per_s{end}"] / GIGA for end in ("", "_low", "_high"))
        stage = f"{row['stage']:.0f}"
        words = (
            f"{title(row['module'])}, stage {stage}: {y:.1f} GB/s, "
            f"{row['macs'] / row['moved_bytes']:.3g} multiply-accumulates a byte"
        )
        point(axes, x, (y, low, high), look[row["module"]], words, pale=not sure(row))
        axes.annotate(stage, (x, y), xytext=(5, 3), textcoords="offset points", fontsize=6)
    for module in names:
        colour, marker = look[module]
        axes.plot([], [], color=colour, marker=marker, linestyle="none", label=written(module))
    axes.set(xscale="log", yscale="log", xlim=(left, right), ylabel="GB/s moved")
    axes.set_xlabel("multiply-accumulates a byte moved (left of the dotted line: almost none)")
    legend = axes.legend(
        loc="upper left", bbox_to_anchor=(1, 1), title="number: stage", title_fontsize=7
    )
    tooltips(legend.get_texts()[1:], names)
    return titled(figure, setting, table)


def ceilings(known: pd.DataFrame) -> tuple[float, float]:
    """Return bytes a second of the copy and multiply-accumulates a second of the product.

    A share is the ceiling's time over the module's own, so the ceiling's rate is the module's over
    its share; the median of all rows that have one.
    """
    multiplied = known[known["macs"] > 0]
    bandwidth = known["bytes_per_s"] / known["bandwidth_share"]
    rate = multiplied["macs"] / multiplied["latency_s"] / multiplied["compute_share"]
    return float(bandwidth.median()), float(rate.median()) if len(rate) else np.inf


def _describe(table: pd.DataFrame) -> str:
    known = table.dropna(subset=["bytes_per_s"])
    bandwidth, _ = ceilings(known)
    points = (
        f"{title(row['module'])} stage {row['stage']:.0f} {row['bytes_per_s'] / GIGA:.1f}"
        for _, row in known.iterrows()
    )
    return f"GB/s moved, where a large copy reaches {bandwidth / GIGA:.1f}: {', '.join(points)}."


ISOLATED_PLOTS: dict[str, Plot] = {
    "roofline": Plot(
        "Isolated modules below the machine's ceilings",
        roofline,
        lambda table: bool(table[["bytes_per_s", "bandwidth_share"]].notna().all(axis=1).any()),
        _describe,
    )
}
