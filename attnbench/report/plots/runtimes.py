"""Overhead by runtime."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from attnbench.formatting import thousandths, title
from attnbench.records.case import RUNTIMES
from attnbench.records.variants import PLAIN
from attnbench.report.plots.drawing.canvas import Plot, canvas, noted, titled
from attnbench.report.plots.drawing.names import tooltips, written
from attnbench.report.plots.drawing.points import PALE, point
from attnbench.report.plots.drawing.rows import (
    WIDEST_INTERVALS,
    modules,
    overhead,
    percent,
    spoken,
    sure,
)
from attnbench.report.plots.style import REFERENCE, looks
from attnbench.report.tables.columns import CONFIGURATION

ALONG = ("dtype", "runtime")
"""What makes a position of the horizontal axis."""

FIXED = [
    column.key
    for column in CONFIGURATION
    if column.key not in {"run", "seed", "time", "control_fault", *ALONG}
]
"""The settings that all runs of the plot share."""

SPREAD = 0.5
"""Of the distance between two positions, the part that the modules of one take."""


def overhead_by_runtime(table: pd.DataFrame, setting: str) -> Figure:
    """Plot latency over the plain host of the same runtime, a line a module.

    ``table`` is that of ``attnbench.read``; below each runtime stands its plain host's own latency.
    """
    places = _places(table)
    figure, (axes,) = canvas(3.6)
    axes.axhline(0, color=REFERENCE, linewidth=0.8)
    known = modules(table, "ratio")
    look = looks(known["variant"])
    names = list(dict.fromkeys(known["variant"]))
    for number, (variant, rows) in enumerate(known.groupby("variant", sort=False)):
        shift = SPREAD * ((number + 0.5) / len(names) - 0.5)
        at = [places[key] + shift for key in _keys(rows)]
        line = pd.Series(percent(rows["ratio"]).to_numpy(), index=at).sort_index()
        colour, marker = look[str(variant)]
        axes.plot(line.index, line, color=colour, linewidth=1, alpha=PALE)
        for x, key, (_, row) in zip(at, _keys(rows), rows.iterrows(), strict=True):
            words = f"{spoken(row)} in {_name(key, table)}"
            point(axes, x, overhead(row), (colour, marker), words, pale=not sure(row))
        axes.plot([], [], color=colour, marker=marker, label=written(str(variant)))
    axes.set_xticks(list(places.values()), [_tick(key, table) for key in places])
    axes.grid(visible=False, axis="x")
    axes.set(ylabel="latency over plain host (%)", xlim=(-0.5, len(places) - 0.5))
    legend = axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    tooltips(legend.get_texts(), names)
    noted(
        figure,
        f"Latency: {WIDEST_INTERVALS}. Each ratio is to the plain host of the same "
        "runtime, whose own latency stands below its name.",
    )
    return titled(figure, setting, known)


Key = tuple[str, str]
"""Dtype and runtime."""


def _keys(rows: pd.DataFrame) -> list[Key]:
    return list(zip(rows["dtype"], rows["runtime"], strict=True))


def _of(key: Key, rows: pd.DataFrame) -> pd.DataFrame:
    return rows[[known == key for known in _keys(rows)]]


def _places(table: pd.DataFrame) -> dict[Key, int]:
    """Return the position of each dtype and runtime: runtimes in their order within a dtype."""
    order = list(RUNTIMES)
    dtypes = list(dict.fromkeys(table["dtype"]))
    keys = sorted(set(_keys(table)), key=lambda key: (dtypes.index(key[0]), order.index(key[1])))
    return {key: place for place, key in enumerate(keys)}


def _name(key: Key, table: pd.DataFrame) -> str:
    dtype, runtime = key
    several = table["dtype"].nunique() > 1
    return f"{RUNTIMES[runtime]}{f', {dtype}' if several else ''}"


def _tick(key: Key, table: pd.DataFrame) -> str:
    of_plain = _of(key, table[table["variant"] == PLAIN])
    latency = thousandths(of_plain["latency_s"].median())
    return f"{_name(key, table)}\n{latency} ms".replace(", ", "\n").replace(" PyTorch", "")


def _fits(table: pd.DataFrame) -> bool:
    known = modules(table, "ratio")
    one = all(known[key].nunique(dropna=False) <= 1 for key in FIXED if key in known)
    return (
        one and known["runtime"].nunique() > 1 and not known.duplicated(["variant", *ALONG]).any()
    )


def _describe(table: pd.DataFrame) -> str:
    sentences = []
    for key in _places(table):
        rows = _of(key, modules(table, "ratio"))
        points = ", ".join(
            f"{title(str(row['variant']))} {percent(row['ratio']):+.1f}%"
            f"{'' if sure(row) else ' (no verdict)'}"
            for _, row in rows.iterrows()
        )
        sentences.append(f"{_name(key, table)}: {points}.")
    return f"Latency over the plain host of the same runtime. {' '.join(sentences)}"


RUNTIME_PLOTS: dict[str, Plot] = {
    "overhead_by_runtime": Plot(
        "Latency over the plain host of the same runtime",
        overhead_by_runtime,
        _fits,
        _describe,
    )
}
