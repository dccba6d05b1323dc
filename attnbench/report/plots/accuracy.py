"""Top-1 against latency: what was measured here, and what was published, a panel a recipe."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import inf, nan
from textwrap import fill
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnbench.formatting import joined, title
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.report.plots.drawing.canvas import Plot, canvas, noted, titled
from attnbench.report.plots.drawing.labels import label
from attnbench.report.plots.drawing.names import written
from attnbench.report.plots.drawing.points import point
from attnbench.report.plots.drawing.rows import (
    WIDEST_INTERVALS,
    Span,
    foremost,
    modules,
    of_one_run,
    overhead,
    percent,
    spoken,
    sure,
)
from attnbench.report.plots.style import INK, REFERENCE, looks


@dataclass(frozen=True)
class Panel:
    """Networks whose top-1 may be compared: of one recipe, or measured on the same images.

    ``rows`` has ``top1`` in percent, and ``top1_low`` and ``top1_high`` where it was measured.
    """

    heading: str
    rows: pd.DataFrame
    measured: bool = False
    comparable: bool = True
    """False for networks that are each alone in their recipe."""

    @property
    def judged(self) -> bool:
        """Whether the panel has a front: networks to compare, and controls that held."""
        return (
            self.comparable
            and len(self.rows) > 1
            and all(sure(row) for _, row in self.rows.iterrows())
        )


def panels(table: pd.DataFrame) -> list[Panel]:
    """Return first what was measured, then recipes until every module that has one is shown."""
    timed = table[table["variant"] != CONTROL].dropna(subset=["ratio"])
    return [*_measured(timed), *_published(timed)]


def _measured(timed: pd.DataFrame) -> Iterator[Panel]:
    """Yield a panel for each set of images."""
    if "measured_top1" not in timed:
        return
    known = timed.dropna(subset=["measured_top1"])
    names = {f"measured_top1{end}": f"top1{end}" for end in ("", "_low", "_high")}
    images = known["measured_on"].map(lambda text: str(text).rpartition("; ")[0])
    for where, rows in known.rename(columns=names).groupby(images, sort=False):
        yield Panel(f"Measured here, on {where}", rows, measured=True)


def _published(timed: pd.DataFrame) -> Iterator[Panel]:
    """Yield a panel for each recipe that adds a module; those of one network share the last."""
    known = {
        (recipe, row["variant"]): top1
        for _, row in timed.iterrows()
        for recipe, top1 in _by_recipe(row).items()
    }
    networks: dict[str, list[str]] = {}
    for recipe, variant in known:
        networks.setdefault(recipe, []).append(variant)
    shown, alone = {PLAIN}, {}
    while networks:
        recipe = max(
            networks, key=lambda name: (len({*networks[name]} - shown), len(networks[name]))
        )
        variants = networks.pop(recipe)
        if shown >= set(variants):
            continue
        shown |= set(variants)
        if len(variants) == 1:
            alone[variants[0]] = recipe
            continue
        top1 = [known.get((recipe, variant), nan) for variant in timed["variant"]]
        yield Panel(f"Published: {recipe}", timed.assign(top1=top1).dropna(subset=["top1"]))
    if alone:
        listed = "; ".join(f"{title(variant)}: {recipe}" for variant, recipe in alone.items())
        top1 = [known.get((alone.get(variant, ""), variant), nan) for variant in timed["variant"]]
        yield Panel(
            f"Published alone, each by another recipe, so not comparable. {listed}",
            timed.assign(top1=top1).dropna(subset=["top1"]),
            comparable=False,
        )


def _by_recipe(row: pd.Series[Any]) -> dict[str, float]:
    text = row.get("published_by_recipe")
    return json.loads(text) if isinstance(text, str) and text else {}


def accuracy_against_latency(table: pd.DataFrame, setting: str) -> Figure:
    """Plot top-1, measured or published, against measured latency, with the Pareto front.

    Hollow: dominated, that is another one is at least as accurate and its interval ends before
    this one's begins. Where the run is too noisy there is neither front nor dominance. Latency is
    the device's own time where the device waited for the host.
    """
    table, what_time = foremost(table)
    of_one_run(table[table["variant"] != CONTROL].dropna(subset=["ratio"]))
    shown = panels(table)
    heights = [1.3 + 0.25 * len(panel.rows) for panel in shown]
    figure, canvases = canvas(0.9 + sum(heights), rows=len(shown), sharex=True)
    look = {PLAIN: (INK, "*")} | looks(modules(table, "ratio")["variant"])
    for axes, panel in zip(canvases, shown, strict=True):
        _draw(axes, panel, look)
    canvases[-1].set_xlabel(f"{what_time} over plain host (%), measured here")
    noted(figure, _notes(table, shown))
    titled(figure, setting, table).draw_without_rendering()
    for axes, panel in zip(canvases, shown, strict=True):
        rows = [row for _, row in panel.rows.iterrows()]
        lines = _steps(pareto(panel.rows)) if panel.judged else []
        label(axes, panel.rows["variant"], map(overhead, rows), map(_top1, rows), lines=lines)
    return figure


def _draw(axes: Axes, panel: Panel, look: dict[str, tuple[str, str]]) -> None:
    if panel.judged:
        front = pareto(panel.rows)
        x = percent(front["ratio"])
        axes.step(x, front["top1"], "--", where="post", color=REFERENCE, linewidth=0.9, zorder=1)
    for _, row in panel.rows.iterrows():
        hollow = panel.judged and dominated(row, panel.rows)
        shape, words = look[row["variant"]], f"{spoken(row)}; {_words(row)}"
        point(axes, overhead(row), _top1(row), shape, words, hollow=hollow, pale=not sure(row))
    axes.margins(x=0.1, y=0.2)
    axes.set_ylabel("top-1 (%)" if panel.measured else "top-1 on ImageNet (%)")
    axes.set_title(fill(panel.heading, 66), fontsize=8, loc="left")


def _steps(front: pd.DataFrame) -> list[tuple[float, float, float, float]]:
    """Return the lines of the front, each from one end to the other."""
    x, y = list(percent(front["ratio"])), list(front["top1"])
    level = [(x[i], y[i], x[i + 1], y[i]) for i in range(len(x) - 1)]
    return level + [(x[i + 1], y[i], x[i + 1], y[i + 1]) for i in range(len(x) - 1)]


def _top1(row: pd.Series[Any]) -> float | Span:
    low, high = row.get("top1_low"), row.get("top1_high")
    if low is None or high is None or pd.isna(low):
        return float(row["top1"])
    return float(row["top1"]), float(low), float(high)


def _words(row: pd.Series[Any]) -> str:
    top1 = _top1(row)
    if isinstance(top1, tuple):
        return "measured top-1 {:.2f}% [{:.2f}, {:.2f}]".format(*top1)
    return f"published top-1 {top1:.2f}%"


def _notes(table: pd.DataFrame, shown: list[Panel]) -> str:
    notes = f"Horizontal {WIDEST_INTERVALS}."
    if any(panel.measured for panel in shown):
        notes += " Vertical intervals: the number of images."
    if any(panel.judged for panel in shown):
        notes += " Dashed: Pareto front."
    if any(
        panel.judged and dominated(row, panel.rows)
        for panel in shown
        for _, row in panel.rows.iterrows()
    ):
        notes += " Hollow: another is significantly faster and at least as accurate."
    names = modules(table, "ratio")["variant"]
    known = {variant for panel in shown for variant in panel.rows["variant"]}
    missing = [name for name in names if name not in known]
    if missing:
        notes += f" No figure for {joined(map(written, missing))}."
    return notes


def pareto(known: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that no other row beats in both, by their medians; fastest first."""
    ordered = known.sort_values(["ratio", "top1"], ascending=[True, False])
    best = ordered["top1"].cummax().shift(fill_value=-inf)
    return ordered[ordered["top1"] > best]


def dominated(row: pd.Series[Any], known: pd.DataFrame) -> bool:
    """Return whether another row is significantly faster and at least as accurate."""
    faster = known["ratio_between_runs_high"] < row["ratio_between_runs_low"]
    return bool((faster & (known["top1"] >= row["top1"])).any())


def _fits(table: pd.DataFrame) -> bool:
    """Return whether anything can be compared: a module beside another network, or measured."""
    table, _ = foremost(table)
    return any(
        len(modules(panel.rows)) > 0 and (panel.measured or len(panel.rows) > 1)
        for panel in panels(table)
        if panel.comparable
    )


def _describe(table: pd.DataFrame) -> str:
    table, what_time = foremost(table)
    sentences = []
    for panel in panels(table):
        rows = [row for _, row in panel.rows.sort_values("ratio").iterrows()]
        points = "; ".join(f"{spoken(row)}, {_words(row)}" for row in rows)
        sentences.append(f"{panel.heading}: {points}.")
        if panel.judged:
            front = joined(map(title, pareto(panel.rows)["variant"]))
            sentences.append(f"On the Pareto front: {front}.")
    return f"Top-1 against {what_time} over the plain host. {' '.join(sentences)}"


ACCURACY = Plot("Accuracy against measured latency", accuracy_against_latency, _fits, _describe)
