"""The plots of a run: each a function from its DataFrame to a figure, usable alone.

Of the table of several runs (``attnbench.read``) select one first: a plot refuses a module with
several rows. Only memory takes both modes.
"""

from __future__ import annotations

from math import isfinite

import pandas as pd
from matplotlib.figure import Figure

from attnbench.formatting import MIB, title
from attnbench.records.variants import CONTROL
from attnbench.report.plots.accuracy import ACCURACY
from attnbench.report.plots.drawing.canvas import Plot, canvas, legend_below, noted, titled
from attnbench.report.plots.drawing.labels import label
from attnbench.report.plots.drawing.names import LONGEST_BESIDE, label_rows, written
from attnbench.report.plots.drawing.points import PALE, point
from attnbench.report.plots.drawing.rows import (
    WIDEST_INTERVALS,
    bracketed,
    foremost,
    in_place_of_latency,
    modules,
    of_device,
    of_one_run,
    overhead,
    percent,
    spoken,
    sure,
)
from attnbench.report.plots.style import REFERENCE, looks, say


def latency_overhead(table: pd.DataFrame, setting: str) -> Figure:
    """Plot latency over the plain host in percent, ordered, with 95% intervals; control shaded."""
    known = _as_in_the_table(of_one_run(modules(table, "ratio")))
    figure, (axes,) = canvas(1.1 + 0.32 * max(len(known), 1))
    alone = "of rounds alone" if "runs" in table else "within this run"
    notes = f"Thin: {WIDEST_INTERVALS}. Thick: {alone}."
    for _, row in table[table["variant"] == CONTROL].dropna(subset=["ratio"]).iterrows():
        _, low, high = overhead(row, "ratio")
        if isfinite(high - low):
            axes.axvspan(low, high, color=REFERENCE, alpha=0.25, linewidth=0)
            notes += f" Grey: the control, plain against plain, {alone}."
    axes.axvline(0, color=REFERENCE, linewidth=0.8)
    look = looks(known["variant"])
    for place, (_, row) in enumerate(known.iterrows()):
        shape, (_, low, high) = look[row["variant"]], overhead(row, "ratio")
        words = f"{spoken(row)}; {alone} {bracketed(low, high)}"
        if isfinite(high - low):
            alpha = PALE if not sure(row) else None
            axes.hlines(place, low, high, colors=shape[0], linewidth=4, alpha=alpha)
        point(axes, overhead(row), place, shape, words, pale=not sure(row))
    label_rows(axes, list(known["variant"]))
    # The fastest on top, as in the table.
    axes.set(ylim=(max(len(known), 1) - 0.4, -0.6), xlabel="latency over plain host (%)")
    noted(figure, notes)
    return titled(figure, setting, table)


def of_energy(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with joules in the place of its latency."""
    return in_place_of_latency(table, "energy_")


def device_overhead(table: pd.DataFrame, setting: str) -> Figure:
    """Plot the device's own time over the plain host's in percent, as latency is plotted."""
    figure = latency_overhead(of_device(table), setting)
    figure.axes[0].set_xlabel("the device's own time over plain host (%)")
    return figure


def energy_overhead(table: pd.DataFrame, setting: str) -> Figure:
    """Plot energy over the plain host's in percent, as latency is plotted."""
    figure = latency_overhead(of_energy(table), setting)
    figure.axes[0].set_xlabel("energy over plain host (%)")
    return figure


def _describe_energy(table: pd.DataFrame) -> str:
    return _describe_latency(of_energy(table)).replace("Latency", "Energy", 1)


def _describe_device(table: pd.DataFrame) -> str:
    return _describe_latency(of_device(table)).replace("Latency", "The device's own time", 1)


def paper_cost_against_latency(table: pd.DataFrame, setting: str) -> Figure:
    """Plot latency over the plain host in percent against added parameters and GFLOPs.

    It is the device's own time where the device waited for the host.
    """
    table, what_time = foremost(table)
    known = of_one_run(modules(table, "ratio"))
    figure, panels = canvas(3.2, columns=2)
    look = looks(known["variant"])
    panelled = (
        (panels[0], "added_params", 1, 10, "added parameters"),
        (panels[1], "added_leaf_operations", 1e9, 1e-3, "added GFLOPs, as papers count"),
    )
    for axes, key, scale, threshold, what in panelled:
        axes.axhline(0, color=REFERENCE, linewidth=0.8)
        counted = known.dropna(subset=[key])
        for _, row in counted.iterrows():
            x, shape = row[key] / scale, look[row["variant"]]
            figures = f"{x:+,.0f}" if scale == 1 else f"{x:+,.4g}"
            words = f"{spoken(row)}; {what} {figures}"
            point(axes, x, overhead(row), shape, words, pale=not sure(row))
        costs = counted[key] / scale
        axes.set_xscale("symlog", linthresh=threshold)
        axes.set(xlim=(min([0, *costs]), max([threshold, *costs]) * 12), xlabel=what)
    panels[0].set_ylabel(f"{what_time} over plain host (%)")
    notes = f"{what_time[:1].upper()}{what_time[1:]}: {WIDEST_INTERVALS}."
    titled(figure, setting, table)
    if max(map(len, map(written, known["variant"]))) > LONGEST_BESIDE:
        legend_below(figure, look, list(known["variant"]), notes)
        return figure
    noted(figure, notes)
    figure.draw_without_rendering()
    for axes, key, scale, *_ in panelled:
        counted = known.dropna(subset=[key])
        spans = [overhead(row) for _, row in counted.iterrows()]
        label(axes, counted["variant"], counted[key] / scale, spans)
    return figure


def memory_overhead(table: pd.DataFrame, setting: str) -> Figure:
    """Plot activation memory, the peak of one step over the plain host in MiB, a panel a mode.

    ``table`` has at most one row a module and mode.
    """
    known = of_one_run(memory(table), "mode")
    modes = list(dict.fromkeys(known["mode"])) or [""]
    several = len(modes) > 1
    order = _order(known)
    look = looks(order)
    figure, panels = canvas(1.1 + 0.32 * max(len(order), 1), columns=len(modes))
    for axes, mode in zip(panels, modes, strict=True):
        part = known[known["mode"] == mode]
        colours = [look[name][0] for name in part["variant"]]
        places = [order.index(name) for name in part["variant"]]
        bars = axes.barh(places, part["added"], color=colours, height=0.6)
        axes.bar_label(bars, [f"{added:+.1f}" for added in part["added"]], padding=3)
        for bar, (_, row) in zip(bars, part.iterrows(), strict=True):
            words = f"{title(row['variant'])}: {row['added']:+.1f} MiB, {row['share']}"
            say(bar, f"{words}, {mode}" if mode else words)
        axes.axvline(0, color=REFERENCE, linewidth=0.8)
        axes.margins(x=0.3 if several else 0.15)
        axes.grid(axis="y", visible=False)
        axes.set_title(mode if several else "", fontsize=8, loc="left")
    label_rows(panels[0], order)
    panels[0].set_ylim(max(len(order), 1) - 0.4, -0.6)
    what = "activation memory over plain host (MiB)"
    if several:
        figure.supxlabel(what, fontsize=9)
    else:
        panels[0].set_xlabel(what)
    return titled(figure, setting, table, exact=True)


def _order(known: pd.DataFrame) -> list[str]:
    """Return the modules as in the table: the fastest first, where they were timed."""
    if "ratio" in known and known["ratio"].notna().any():
        return list(dict.fromkeys(_as_in_the_table(known)["variant"]))
    return list(known.groupby("variant")["added"].max().sort_values().index)


def _as_in_the_table(known: pd.DataFrame) -> pd.DataFrame:
    """Return the rows as the first table has them: the fastest first, by the time that leads."""
    known = known.reset_index(drop=True)  # tables of several runs have a number more than once
    leading, _ = foremost(known)
    return known.loc[leading["ratio"].sort_values().index]


def memory(table: pd.DataFrame) -> pd.DataFrame:
    """Return modules with what their peak adds: ``added`` in MiB, ``share`` as text; their mode."""
    known = modules(table, "peak_live_ratio").reset_index(drop=True)  # it may hold the variants
    added = known["peak_live_bytes"] * (1 - 1 / known["peak_live_ratio"]) / MIB
    share = percent(known["peak_live_ratio"]).map("{:+.1f}%".format)
    return known.assign(added=added, share=share, mode=known.get("mode", ""))


def _describe_latency(table: pd.DataFrame) -> str:
    known = modules(table, "ratio").sort_values("ratio")
    points = "; ".join(spoken(row) for _, row in known.iterrows())
    return f"Latency over the plain host, from least to most: {points}."


def _describe_paper_cost(table: pd.DataFrame) -> str:
    table, what_time = foremost(table)
    known = modules(table, "ratio").sort_values("ratio")
    points = (
        f"{spoken(row)}, {row['added_params']:+,.0f} parameters, "
        f"{row['added_leaf_operations'] / 1e9:+.4f} GFLOPs"
        for _, row in known.iterrows()
    )
    listed = "; ".join(points)
    return f"Added parameters and GFLOPs against {what_time} over the plain host: {listed}."


def _describe_memory(table: pd.DataFrame) -> str:
    points = (
        f"{title(row['variant'])} {row['share']}" + (f" in {row['mode']}" if row["mode"] else "")
        for _, row in memory(table).sort_values("peak_live_ratio").iterrows()
    )
    return f"Activation memory over the plain host: {', '.join(points)}."


PLOTS: dict[str, Plot] = {
    "device_overhead": Plot(
        "The device's own time over the plain host's",
        device_overhead,
        lambda table: "device_ratio" in table and len(modules(table, "device_ratio")) > 0,
        _describe_device,
    ),
    "latency_overhead": Plot(
        "Latency over the plain host",
        latency_overhead,
        lambda table: len(modules(table, "ratio")) > 0,
        _describe_latency,
    ),
    "energy_overhead": Plot(
        "Energy over the plain host",
        energy_overhead,
        lambda table: "energy_ratio" in table and len(modules(table, "energy_ratio")) > 0,
        _describe_energy,
    ),
    "accuracy_against_latency": ACCURACY,
    "paper_cost_against_latency": Plot(
        "Added parameters and GFLOPs against measured latency",
        paper_cost_against_latency,
        lambda table: len(modules(table, "ratio", "added_params")) > 0,
        _describe_paper_cost,
    ),
    "memory_overhead": Plot(
        "Activation memory over the plain host",
        memory_overhead,
        lambda table: len(memory(table)) > 0,
        _describe_memory,
    ),
}
