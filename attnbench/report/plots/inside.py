"""Where the time of attention goes inside a network: bars stacked by kind of operator."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from attnbench.formatting import title
from attnbench.report.plots.drawing.canvas import Plot, canvas, noted, titled
from attnbench.report.plots.drawing.names import label_rows
from attnbench.report.plots.drawing.points import point
from attnbench.report.plots.drawing.rows import bracketed, overhead
from attnbench.report.plots.style import INK, REFERENCE, say
from attnbench.report.tables.inside.kinds import (
    CONVOLUTIONS,
    ELEMENTWISE,
    MOVES,
    NORMALISATION,
    ORDER,
    POOLING,
    REST,
)

COLOURS = {
    NORMALISATION: "#6699CC",
    ELEMENTWISE: "#DDCC77",
    POOLING: "#44AA99",
    CONVOLUTIONS: "#CC6677",
    MOVES: "#AA4499",
    REST: "#BBBBBB",
}
"""Of the scheme of the modules' colours, in tones that light and dark pages show."""

NOTES = (
    "Bars: the attention's own operators, by kind. Open circles: what the host's own parts take "
    "more or less than the plain host, with 95% intervals, which may "
    "reach beyond the plot; steps of both alternated. "
    "A profiler slows what it watches: these are shares of a profiled step, not latencies."
)


def inside(table: pd.DataFrame, setting: str) -> Figure:
    """Plot the attention's seconds by kind of operator, in percent of the plain host's step.

    ``table`` is :func:`attnbench.report.tables.inside.shares.kinds` of one run.
    """
    known = _ordered(table)
    figure, (axes,) = canvas(1.9 + 0.32 * len(known))
    for place, (_, row) in enumerate(known.iterrows()):
        left = 0.0
        for kind in ORDER:
            width = 100 * row[kind]
            (bar,) = axes.barh(
                place,
                width,
                left=left,
                height=0.6,
                color=COLOURS[kind],
                edgecolor=INK,
                linewidth=0.3,
            )
            say(bar, f"{title(row['variant'])}, {kind}: {width:.2f}% of the plain host's step")
            left += width
        host = overhead(row, "host_ratio")
        words = f"{title(row['variant'])}, the host's own parts: {host[0]:+.1f}%"
        point(axes, host, place, (INK, "o"), f"{words} {bracketed(*host[1:])}", hollow=True)
    axes.axvline(0, color=REFERENCE, linewidth=0.8)
    label_rows(axes, list(known["variant"]))
    axes.grid(axis="y", visible=False)
    axes.set(ylim=(len(known) - 0.4, -0.6), xlabel="share of the plain host's profiled step (%)")
    handles = [axes.barh(0, 0, color=COLOURS[kind], label=kind) for kind in ORDER]
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    medians = [overhead(row, "host_ratio")[0] for _, row in known.iterrows()]
    longest = max([100 * known["whole"].max(), *medians, 1.0])
    # A noisy interval, which may be ten times as long, must not hide the bars.
    axes.set_xlim(min([0.0, *medians]) - 0.3 * longest, 1.3 * longest)
    noted(figure, NOTES)
    return titled(figure, setting, table, exact=True)


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(whole=table[list(ORDER)].sum(axis=1)).sort_values("whole")


def _describe(table: pd.DataFrame) -> str:
    rows = [
        f"{title(row['variant'])} {100 * row['whole']:.1f}% ("
        + ", ".join(f"{kind} {100 * row[kind]:.1f}" for kind in ORDER)
        + f"; host's own parts {overhead(row, 'host_ratio')[0]:+.1f} "
        + f"{bracketed(*overhead(row, 'host_ratio')[1:])})"
        for _, row in _ordered(table).iterrows()
    ]
    return f"Attention in percent of the plain host's profiled step: {'; '.join(rows)}. {NOTES}"


INSIDE_PLOTS: dict[str, Plot] = {
    "inside": Plot(
        "Inside the network: the attention's time by kind of operator (profiled; shares, not "
        "latencies)",
        inside,
        lambda table: len(table) > 0,
        _describe,
    )
}
