"""The plots of a run: each a function from its DataFrame to a figure, usable alone.

Of the table of several runs (``attnbench.read``) select one first: a plot refuses a module with
several rows. Only memory takes both modes.
"""

from __future__ import annotations

from math import inf, isfinite
from textwrap import fill
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from attnbench.formatting import MIB, joined, title
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.report.plots import drawing
from attnbench.report.plots.drawing import Plot, modules, overhead, percent, point, spoken, sure
from attnbench.report.plots.style import INK, REFERENCE, looks, say


def latency_overhead(table: pd.DataFrame, setting: str) -> Figure:
    """Plot latency over the plain host in percent, ordered, with 95% intervals; control shaded."""
    known = drawing.of_one_run(modules(table, "ratio")).sort_values("ratio")
    figure, (axes,) = drawing.canvas(0.9 + 0.32 * max(len(known), 1))
    for _, row in table[table["variant"] == CONTROL].dropna(subset=["ratio"]).iterrows():
        _, low, high = overhead(row)
        if isfinite(high - low):
            label = "control: plain against plain, 95% interval"
            axes.axvspan(low, high, color=REFERENCE, alpha=0.25, linewidth=0, label=label)
            axes.legend(loc="lower right")
    axes.axvline(0, color=REFERENCE, linewidth=0.8)
    look = looks(known["variant"])
    for place, (_, row) in enumerate(known.iterrows()):
        point(axes, overhead(row), place, look[row["variant"]], spoken(row), pale=not sure(row))
    drawing.label_rows(axes, list(known["variant"]))
    axes.set(ylim=(-0.6, max(len(known), 1) - 0.4), xlabel="latency over plain host (%)")
    return drawing.titled(figure, setting, table)


def accuracy_against_latency(table: pd.DataFrame, setting: str) -> Figure:
    """Plot published top-1 of one recipe against measured latency, with the Pareto front.

    Hollow: dominated, that is another one is at least as accurate and its interval ends before
    this one's begins. Where the control failed there is neither front nor dominance.
    """
    known = drawing.of_one_run(_published(table))
    figure, (axes,) = drawing.canvas(3.6)
    judged = all(sure(row) for _, row in known.iterrows())
    if judged:
        front = pareto(known)
        x, y = percent(front["ratio"]), front["published_top1"]
        axes.step(x, y, "--", where="post", color=REFERENCE, linewidth=0.9, zorder=1)
    look = {PLAIN: (INK, "*")} | looks(modules(known)["variant"])
    for _, row in known.iterrows():
        y, shape = row["published_top1"], look[row["variant"]]
        words, hollow = f"{spoken(row)}; published top-1 {y:.2f}%", judged and dominated(row, known)
        point(axes, overhead(row), y, shape, words, hollow=hollow, pale=not sure(row))
    axes.margins(x=0.1, y=0.12)
    front_note = "; dashed: Pareto front" if judged else ""
    axes.set_xlabel(f"latency over plain host (%), measured here{front_note}")
    axes.set_ylabel("top-1 on ImageNet (%), published")
    notes = f"Top-1 of one recipe: {known['published_recipe'].iloc[0]}."
    names = modules(table, "ratio")["variant"]
    missing = names[~names.isin(known["variant"])]
    if len(missing):
        notes += f" It has no figure for {joined(map(drawing.written, missing))}."
    if judged and any(dominated(row, known) for _, row in known.iterrows()):
        notes += " Hollow: another is significantly faster and at least as accurate."
    figure.supxlabel(fill(notes, 105), fontsize=6.5, x=0.01, ha="left")
    drawing.titled(figure, setting, table).draw_without_rendering()
    drawing.label(axes, known["variant"], percent(known["ratio"]), known["published_top1"])
    return figure


def paper_cost_against_latency(table: pd.DataFrame, setting: str) -> Figure:
    """Plot latency over the plain host in percent against added parameters and GFLOPs."""
    known = drawing.of_one_run(modules(table, "ratio"))
    figure, panels = drawing.canvas(3.2, columns=2)
    look = looks(known["variant"])
    panelled = (
        (panels[0], "added_params", 1, 10, "added parameters"),
        (panels[1], "added_leaf_operations", 1e9, 1e-3, "added GFLOPs, rule leaf"),
    )
    for axes, key, scale, threshold, what in panelled:
        axes.axhline(0, color=REFERENCE, linewidth=0.8)
        counted = known.dropna(subset=[key])
        for _, row in counted.iterrows():
            x, shape = row[key] / scale, look[row["variant"]]
            words = f"{spoken(row)}; {what} {x:+,.4g}"
            point(axes, x, overhead(row), shape, words, pale=not sure(row))
        costs = counted[key] / scale
        axes.set_xscale("symlog", linthresh=threshold)
        axes.set(xlim=(min([0, *costs]), max([threshold, *costs]) * 12), xlabel=what)
    panels[0].set_ylabel("latency over plain host (%)")
    drawing.titled(figure, setting, table)
    if max(map(len, map(drawing.written, known["variant"]))) > drawing.LONGEST_BESIDE:
        drawing.legend_below(figure, look, list(known["variant"]))
        return figure
    figure.draw_without_rendering()
    for axes, key, scale, *_ in panelled:
        counted = known.dropna(subset=[key])
        drawing.label(axes, counted["variant"], counted[key] / scale, percent(counted["ratio"]))
    return figure


def memory_overhead(table: pd.DataFrame, setting: str) -> Figure:
    """Plot the peak of live bytes of one step over the plain host in MiB, a panel a mode.

    ``table`` has at most one row a module and mode.
    """
    known = drawing.of_one_run(memory(table), "mode")
    modes = list(dict.fromkeys(known["mode"])) or [""]
    several = len(modes) > 1
    order = list(known.groupby("variant")["added"].max().sort_values().index)
    look = looks(order)
    figure, panels = drawing.canvas(1.1 + 0.32 * max(len(order), 1), columns=len(modes))
    for axes, mode in zip(panels, modes, strict=True):
        part = known[known["mode"] == mode]
        colours = [look[name][0] for name in part["variant"]]
        places = [order.index(name) for name in part["variant"]]
        bars = axes.barh(places, part["added"], color=colours, height=0.6)
        axes.bar_label(bars, list(part["share"]), padding=3)
        for bar, (_, row) in zip(bars, part.iterrows(), strict=True):
            words = f"{title(row['variant'])}: {row['added']:+.1f} MiB, {row['share']}"
            say(bar, f"{words}, {mode}" if mode else words)
        axes.axvline(0, color=REFERENCE, linewidth=0.8)
        axes.margins(x=0.3 if several else 0.15)
        axes.grid(axis="y", visible=False)
        axes.set_title(mode if several else "", fontsize=8, loc="left")
    drawing.label_rows(panels[0], order)
    what = "peak of live bytes over plain host (MiB)"
    if several:
        figure.supxlabel(what, fontsize=9)
    else:
        panels[0].set_xlabel(what)
    return drawing.titled(figure, setting, table, exact=True)


def memory(table: pd.DataFrame) -> pd.DataFrame:
    """Return modules with what their peak adds: ``added`` in MiB, ``share`` as text; their mode."""
    known = modules(table, "peak_live_ratio").reset_index(drop=True)  # it may hold the variants
    added = known["peak_live_bytes"] * (1 - 1 / known["peak_live_ratio"]) / MIB
    share = percent(known["peak_live_ratio"]).map("{:+.1f}%".format)
    return known.assign(added=added, share=share, mode=known.get("mode", ""))


def pareto(known: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that no other row beats in both, by their medians; fastest first."""
    ordered = known.sort_values(["ratio", "published_top1"], ascending=[True, False])
    best = ordered["published_top1"].cummax().shift(fill_value=-inf)
    return ordered[ordered["published_top1"] > best]


def dominated(row: pd.Series[Any], known: pd.DataFrame) -> bool:
    """Return whether another row is significantly faster and at least as accurate."""
    faster = known["ratio_high"] < row["ratio_low"]
    return bool((faster & (known["published_top1"] >= row["published_top1"])).any())


def _published(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["variant"] != CONTROL].dropna(subset=["ratio", "published_top1"])


def _describe_latency(table: pd.DataFrame) -> str:
    known = modules(table, "ratio").sort_values("ratio")
    points = "; ".join(spoken(row) for _, row in known.iterrows())
    return f"Latency over the plain host, from least to most: {points}."


def _describe_accuracy(table: pd.DataFrame) -> str:
    known = _published(table).sort_values("ratio")
    points = (f"{spoken(row)}, top-1 {row['published_top1']:.2f}%" for _, row in known.iterrows())
    text = f"Published top-1 against measured latency over the plain host: {'; '.join(points)}."
    if all(sure(row) for _, row in known.iterrows()):
        text += f" On the Pareto front: {joined(map(title, pareto(known)['variant']))}."
    return text


def _describe_paper_cost(table: pd.DataFrame) -> str:
    known = modules(table, "ratio").sort_values("ratio")
    points = (
        f"{spoken(row)}, {row['added_params']:+,.0f} parameters, "
        f"{row['added_leaf_operations'] / 1e9:+.4f} GFLOPs"
        for _, row in known.iterrows()
    )
    return f"Added parameters and GFLOPs against latency over the plain host: {'; '.join(points)}."


def _describe_memory(table: pd.DataFrame) -> str:
    points = (
        f"{title(row['variant'])} {row['share']}" + (f" in {row['mode']}" if row["mode"] else "")
        for _, row in memory(table).sort_values("peak_live_ratio").iterrows()
    )
    return f"Peak of live bytes over the plain host: {', '.join(points)}."


PLOTS: dict[str, Plot] = {
    "latency_overhead": Plot(
        "Latency over the plain host, with 95% intervals",
        latency_overhead,
        lambda table: len(modules(table, "ratio")) > 0,
        _describe_latency,
    ),
    "accuracy_against_latency": Plot(
        "Published accuracy against measured latency",
        accuracy_against_latency,
        lambda table: len(modules(_published(table))) > 0 and len(_published(table)) > 1,
        _describe_accuracy,
    ),
    "paper_cost_against_latency": Plot(
        "Added parameters and GFLOPs against measured latency",
        paper_cost_against_latency,
        lambda table: len(modules(table, "ratio", "added_params")) > 0,
        _describe_paper_cost,
    ),
    "memory_overhead": Plot(
        "Peak memory over the plain host",
        memory_overhead,
        lambda table: len(memory(table)) > 0,
        _describe_memory,
    ),
}
