"""The plots of a run: each a function from its DataFrame to a figure, usable alone.

Of the table of several runs (``attnbench.read``) select one first: a plot refuses a module with
several rows. Only memory takes both modes.
"""

from __future__ import annotations

from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from attnbench.formatting import MIB, joined, title
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.report.plots import drawing
from attnbench.report.plots.drawing import Plot, percent, point, spoken, sure, timed
from attnbench.report.plots.style import INK, REFERENCE, looks, say


def latency_overhead(table: pd.DataFrame, setting: str) -> Figure:
    """Plot latency over the plain host in percent, ordered, with 95% intervals; control shaded."""
    known = timed(table).sort_values("ratio")
    drawing.refuse_several(known)
    figure, (axes,) = drawing.canvas(0.9 + 0.32 * max(len(known), 1))
    control = table[table["variant"] == CONTROL].dropna(subset=["ratio"])
    for _, row in control.iterrows():
        low, high = percent(row["ratio_low"]), percent(row["ratio_high"])
        if np.isfinite([low, high]).all():
            label = "control: plain against plain, 95% interval"
            axes.axvspan(low, high, color=REFERENCE, alpha=0.25, linewidth=0, label=label)
    axes.axvline(0, color=REFERENCE, linewidth=0.8)
    look = looks(list(known["variant"]))
    for place, (_, row) in enumerate(known.iterrows()):
        x, error = drawing.with_error(row)
        shape = look[row["variant"]]
        point(axes, x, place, shape, spoken(row), xerr=error, pale=not sure(row))
    drawing.label_rows(axes, list(known["variant"]))
    axes.set_ylim(-0.6, max(len(known), 1) - 0.4)
    axes.set_xlabel("latency over plain host (%)")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right")
    return drawing.titled(figure, setting, table)


def accuracy_against_latency(table: pd.DataFrame, setting: str) -> Figure:
    """Plot published top-1 of one recipe against measured latency, with the Pareto front.

    Hollow: dominated, that is another one is at least as accurate and its interval ends before
    this one's begins. Where the control failed there is neither front nor dominance.
    """
    known = _published(table)
    drawing.refuse_several(known)
    figure, (axes,) = drawing.canvas(3.6)
    judged = _judged(known)
    if judged:
        front = pareto(known)
        axes.step(
            percent(front["ratio"]),
            front["published_top1"],
            where="post",
            color=REFERENCE,
            linewidth=0.9,
            linestyle="--",
            zorder=1,
        )
    look = {PLAIN: (INK, "*")} | looks(list(drawing.modules(known)["variant"]))
    for _, row in known.iterrows():
        x, error = drawing.with_error(row)
        words = f"{spoken(row)}; published top-1 {row['published_top1']:.2f}%"
        hollow = judged and dominated(row, known)
        y, shape, pale = row["published_top1"], look[row["variant"]], not sure(row)
        point(axes, x, y, shape, words, xerr=error, hollow=hollow, pale=pale)
    axes.margins(x=0.1, y=0.12)
    front_note = "; dashed: Pareto front" if judged else ""
    axes.set_xlabel(f"latency over plain host (%), measured here{front_note}")
    axes.set_ylabel("top-1 on ImageNet (%), published")
    notes = f"Top-1 of one recipe: {known['published_recipe'].iloc[0]}."
    shown = set(known["variant"])
    missing = [drawing.written(name) for name in timed(table)["variant"] if name not in shown]
    if missing:
        notes += f" It has no figure for {joined(missing)}."
    if judged and any(dominated(row, known) for _, row in known.iterrows()):
        notes += " Hollow: another is significantly faster and at least as accurate."
    figure.supxlabel(fill(notes, 105), fontsize=6.5, x=0.01, ha="left")
    drawing.titled(figure, setting, table).draw_without_rendering()
    places = zip(percent(known["ratio"]), known["published_top1"], strict=True)
    drawing.label(axes, dict(zip(known["variant"], places, strict=True)))
    return figure


def paper_cost_against_latency(table: pd.DataFrame, setting: str) -> Figure:
    """Plot latency over the plain host in percent against added parameters and GFLOPs."""
    known = timed(table)
    drawing.refuse_several(known)
    figure, panels = drawing.canvas(3.2, columns=2)
    look = looks(list(known["variant"]))
    panelled = (
        (panels[0], "added_params", 1, 10, "added parameters"),
        (panels[1], "added_leaf_operations", 1e9, 1e-3, "added GFLOPs, rule leaf"),
    )
    for axes, key, scale, threshold, what in panelled:
        axes.axhline(0, color=REFERENCE, linewidth=0.8)
        counted = known.dropna(subset=[key])
        for _, row in counted.iterrows():
            x, (y, error) = row[key] / scale, drawing.with_error(row)
            words = f"{spoken(row)}; {what} {x:+,.4g}"
            point(axes, x, y, look[row["variant"]], words, yerr=error, pale=not sure(row))
        largest = max([threshold, *(counted[key] / scale)])
        axes.set_xscale("symlog", linthresh=threshold)
        axes.set_xlim(min(0, *(counted[key] / scale), 0), largest * 12)
        axes.set_xlabel(what)
    panels[0].set_ylabel("latency over plain host (%)")
    drawing.titled(figure, setting, table)
    if max(map(len, map(drawing.written, known["variant"]))) > drawing.LONGEST_BESIDE:
        drawing.legend_below(figure, look, list(known["variant"]))
        return figure
    figure.draw_without_rendering()
    for axes, key, scale, *_ in panelled:
        counted = known.dropna(subset=[key])
        places = zip(counted[key] / scale, percent(counted["ratio"]), strict=True)
        drawing.label(axes, dict(zip(counted["variant"], places, strict=True)))
    return figure


def memory_overhead(table: pd.DataFrame, setting: str) -> Figure:
    """Plot the peak of live bytes of one step over the plain host in MiB, a panel a mode.

    ``table`` has at most one row a module and mode.
    """
    known = drawing.modules(table).dropna(subset=["peak_live_bytes", "peak_live_ratio"])
    drawing.refuse_several(known, "mode")
    known = known.reset_index(drop=True)  # a frame may be indexed by its variants
    added = known.assign(added=known["peak_live_bytes"] * (1 - 1 / known["peak_live_ratio"]) / MIB)
    modes = list(dict.fromkeys(added["mode"])) if "mode" in added else [""]
    order = list(added.groupby("variant")["added"].max().sort_values().index)
    look = looks(order)
    figure, panels = drawing.canvas(1.1 + 0.32 * max(len(order), 1), columns=len(modes))
    for axes, mode in zip(panels, modes, strict=True):
        part = added[added["mode"] == mode] if "mode" in added else added
        colours = [look[name][0] for name in part["variant"]]
        places = [order.index(name) for name in part["variant"]]
        bars = axes.barh(places, part["added"], color=colours, height=0.6)
        axes.bar_label(bars, [f"{percent(r):+.1f}%" for r in part["peak_live_ratio"]], padding=3)
        for bar, (_, row) in zip(bars, part.iterrows(), strict=True):
            share = percent(row["peak_live_ratio"])
            words = f"{title(row['variant'])}: {row['added']:+.1f} MiB, {share:+.1f}%"
            say(bar, f"{words}, {mode}" if mode else words)
        axes.axvline(0, color=REFERENCE, linewidth=0.8)
        axes.margins(x=0.3 if len(modes) > 1 else 0.15)
        axes.grid(axis="y", visible=False)
        if len(modes) > 1:
            axes.set_title(mode, fontsize=8, loc="left")
    drawing.label_rows(panels[0], order)
    what = "peak of live bytes over plain host (MiB)"
    if len(modes) > 1:
        figure.supxlabel(what, fontsize=9)
    else:
        panels[0].set_xlabel(what)
    return drawing.titled(figure, setting, table, exact=True)


def pareto(known: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that no other row beats in both, by their medians; fastest first."""
    ordered = known.sort_values(["ratio", "published_top1"], ascending=[True, False])
    best = ordered["published_top1"].cummax().shift(fill_value=-np.inf)
    return ordered[ordered["published_top1"] > best]


def dominated(row: pd.Series[Any], known: pd.DataFrame) -> bool:
    """Return whether another row is significantly faster and at least as accurate."""
    faster = known["ratio_high"] < row["ratio_low"]
    return bool((faster & (known["published_top1"] >= row["published_top1"])).any())


def _judged(known: pd.DataFrame) -> bool:
    """Return whether all controls held, so that rows may be compared."""
    return all(sure(row) for _, row in known.iterrows())


def _published(table: pd.DataFrame) -> pd.DataFrame:
    known = table[table["variant"] != CONTROL].dropna(subset=["ratio"])
    if "published_top1" not in known:
        return known.iloc[:0]
    return known.dropna(subset=["published_top1"])


def _describe_latency(table: pd.DataFrame) -> str:
    known = timed(table).sort_values("ratio")
    points = "; ".join(spoken(row) for _, row in known.iterrows())
    return f"Latency over the plain host, from least to most: {points}."


def _describe_accuracy(table: pd.DataFrame) -> str:
    known = _published(table).sort_values("ratio")
    points = (f"{spoken(row)}, top-1 {row['published_top1']:.2f}%" for _, row in known.iterrows())
    text = f"Published top-1 against measured latency over the plain host: {'; '.join(points)}."
    if not _judged(known):
        return text
    return f"{text} On the Pareto front: {joined(map(title, pareto(known)['variant']))}."


def _describe_paper_cost(table: pd.DataFrame) -> str:
    known = timed(table).sort_values("ratio")
    points = (
        f"{spoken(row)}, {row['added_params']:+,.0f} parameters, "
        f"{row['added_leaf_operations'] / 1e9:+.4f} GFLOPs"
        for _, row in known.iterrows()
    )
    return f"Added parameters and GFLOPs against latency over the plain host: {'; '.join(points)}."


def _describe_memory(table: pd.DataFrame) -> str:
    known = drawing.modules(table).dropna(subset=["peak_live_ratio"])
    points = (
        f"{title(row['variant'])} {percent(row['peak_live_ratio']):+.1f}%"
        + (f" in {row['mode']}" if "mode" in known else "")
        for _, row in known.sort_values("peak_live_ratio").iterrows()
    )
    return f"Peak of live bytes over the plain host: {', '.join(points)}."


PLOTS: dict[str, Plot] = {
    "latency_overhead": Plot(
        "Latency over the plain host, with 95% intervals",
        latency_overhead,
        lambda table: len(timed(table)) > 0,
        _describe_latency,
    ),
    "accuracy_against_latency": Plot(
        "Published accuracy against measured latency",
        accuracy_against_latency,
        lambda table: len(drawing.modules(_published(table))) > 0 and len(_published(table)) > 1,
        _describe_accuracy,
    ),
    "paper_cost_against_latency": Plot(
        "Added parameters and GFLOPs against measured latency",
        paper_cost_against_latency,
        lambda table: len(timed(table).dropna(subset=["added_params"])) > 0,
        _describe_paper_cost,
    ),
    "memory_overhead": Plot(
        "Peak memory over the plain host",
        memory_overhead,
        lambda table: len(drawing.modules(table).dropna(subset=["peak_live_ratio"])) > 0,
        _describe_memory,
    ),
}
