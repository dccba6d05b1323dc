"""What all plots share: the canvas, points with tooltips, labels, and overhead in percent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from textwrap import fill
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.transforms import Affine2D, Bbox

from attnbench.errors import UserError
from attnbench.formatting import title
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.report.plots.style import INK, RC, say
from attnbench.report.tables.run import FAILED


@dataclass(frozen=True)
class Plot:
    """A plot: what draws it, whether a table has its data, and its text alternative."""

    caption: str
    draw: Callable[[pd.DataFrame, str], Figure]
    fits: Callable[[pd.DataFrame], bool]
    describe: Callable[[pd.DataFrame], str]


def spoken(row: pd.Series[Any]) -> str:
    """Return ``SA +16.8% [+15.9, +17.6]``: latency over the plain host."""
    middle, error = with_error(row)
    if row["variant"] == PLAIN:
        return "plain host"
    low, high = percent(row["ratio_low"]), percent(row["ratio_high"])
    doubt = "too few rounds" if error is None else f"{low:+.1f}, {high:+.1f}"
    verdict = "" if sure(row) else ", no verdict"
    return f"{title(row['variant'])} {middle:+.1f}% [{doubt}]{verdict}"


def sure(row: pd.Series[Any]) -> bool:
    """Return whether the control of the row's run held, as far as the table tells."""
    fault = row.get("control_fault")
    return not (isinstance(fault, str) and fault)


def percent(ratio: Any) -> Any:
    """Return a ratio, or several, as overhead in percent: 1.2 is 20."""
    return (ratio - 1) * 100


def with_error(row: pd.Series[Any]) -> tuple[float, list[list[float]] | None]:
    """Return latency over the plain host in percent, and the distances to its interval's ends."""
    middle, low, high = (percent(row[key]) for key in ("ratio", "ratio_low", "ratio_high"))
    finite = bool(np.isfinite([low, high]).all())
    return middle, [[middle - low], [high - middle]] if finite else None


def canvas(height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """Return a figure as wide as a column of print, ``height`` in inches, and its panels."""
    with mpl.rc_context(RC):
        figure = Figure(figsize=(5.2, height), layout="constrained")
        return figure, list(figure.subplots(rows, columns, sharey=rows == 1, squeeze=False).flat)


def titled(figure: Figure, setting: str, table: pd.DataFrame, *, exact: bool = False) -> Figure:
    """Return the figure under its setting, which also says whether controls held.

    Of several runs the points show which; ``exact`` figures are valid whatever a control says.
    """
    held = [sure(row) for _, row in table.iterrows()]
    if not any(held):
        setting += FAILED
    elif not all(held) and not exact:
        setting += "; pale and hollow: there the control failed, no verdicts"
    figure.suptitle(fill(setting, 88), fontsize=8, x=0.01, ha="left")
    return figure


def refuse_several(known: pd.DataFrame, *keys: str) -> None:
    """Refuse a table of several runs, whose points would be taken for those of one.

    Raises:
        UserError: a module has several rows.
    """
    if known.duplicated(["variant", *(key for key in keys if key in known)]).any():
        raise UserError("several rows of one module: choose one run of the table for this plot")


def modules(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of modules, without plain host and control."""
    return table[~table["variant"].isin([PLAIN, CONTROL])]


def timed(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of modules that have a ratio."""
    return modules(table).dropna(subset=["ratio"])


PALE = 0.5
"""Opacity of a point whose control failed."""


def point(  # noqa: PLR0913  all that a point shows
    axes: Axes,
    x: float,
    y: float,
    shape: tuple[str, str],
    words: str,
    *,
    xerr: Sequence[Sequence[float]] | None = None,
    yerr: Sequence[Sequence[float]] | None = None,
    hollow: bool = False,
    pale: bool = False,
) -> None:
    """Draw a marker (colour, shape) with its intervals and ``words`` as its tooltip.

    A pale one, as without a verdict, is hollow too.
    """
    colour, marker = shape
    hollow = hollow or pale
    drawn = axes.errorbar(
        x,
        y,
        xerr=xerr,
        yerr=yerr,
        fmt=marker,
        color=colour,
        markersize=7,
        markerfacecolor="none" if hollow else colour,
        markeredgecolor=colour if hollow else INK,
        markeredgewidth=1.2 if hollow else 0.4,
        alpha=PALE if pale else None,
    )
    say(drawn.lines[0], words)


LONGEST_NAME, LONGEST_BESIDE = 20, 9
"""Characters of a name, and of one beside its point in a panel of half width."""


def written(variant: str) -> str:
    """Return a module's name for plots: shortened, and without a formula between dollars."""
    name = title(variant)
    if len(name) > LONGEST_NAME:
        half = LONGEST_NAME // 2
        name = f"{name[: half - 1]}…{name[-half:]}"
    return name.replace("$", r"\$")


def tooltips(texts: Iterable[Text], variants: Iterable[str]) -> None:
    """Give shortened labels their whole names as tooltips."""
    for text, variant in zip(texts, variants, strict=True):
        if len(title(variant)) > LONGEST_NAME:
            say(text, title(variant))


def label_rows(axes: Axes, variants: Sequence[str]) -> None:
    """Label the vertical axis with one module a line."""
    axes.set_yticks(range(len(variants)), [written(variant) for variant in variants])
    tooltips(axes.get_yticklabels(), variants)


def legend_below(
    figure: Figure, look: Mapping[str, tuple[str, str]], variants: Sequence[str]
) -> None:
    """Draw a legend below the figure, for names that are too long beside their points."""
    points = [
        Line2D([], [], color=colour, marker=marker, linestyle="none")
        for colour, marker in (look[variant] for variant in variants)
    ]
    names = [written(variant) for variant in variants]
    legend = figure.legend(
        points, names, loc="outside lower left", ncols=3, fontsize=7, frameon=False
    )
    tooltips(legend.get_texts(), variants)
    figure.set_figheight(figure.get_figheight() + 0.17 * ceil(len(names) / 3))


SIDES = ((7, 3), (7, -11), (-7, 3), (-7, -11), (0, 8), (0, -16), (7, 14), (7, -22))
"""Offsets of a name from its point, in typographic points, the best first."""


def label(axes: Axes, points: Mapping[str, tuple[float, float]]) -> None:
    """Write each module's name beside its point, inside the axes and clear of others if possible.

    Call it when the figure is otherwise finished and laid out.
    """
    places = {variant: _place(axes, at) for variant, at in points.items()}
    taken = [Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in places.values()]
    room = axes.bbox.transformed(Affine2D().scale(72 / axes.figure.dpi))
    for variant, at in points.items():
        x, y = places[variant]
        boxes = [_within(room, _box((x, y), side, written(variant))) for side in SIDES]
        box = min(boxes, key=lambda box: sum(box.overlaps(other) for other in taken))
        taken.append(box)
        text = axes.annotate(
            written(variant),
            at,
            xytext=(box.x0 - x, box.y0 - y),
            textcoords="offset points",
            fontsize=8,
        )
        text.set_in_layout(False)  # it lies inside the axes
        tooltips([text], [variant])


def _place(axes: Axes, at: tuple[float, float]) -> tuple[float, float]:
    """Return where a point is on the canvas, in typographic points."""
    x, y = axes.transData.transform(at) * 72 / axes.figure.dpi
    return float(x), float(y)


def _box(place: tuple[float, float], side: tuple[float, float], text: str) -> Bbox:
    """Return about what a name would cover there."""
    width = 5.5 * len(text)
    before = {-1: width, 0: width / 2, 1: 0}[int(np.sign(side[0]))]
    return Bbox.from_bounds(place[0] + side[0] - before, place[1] + side[1], width, 9)


def _within(room: Bbox, box: Bbox) -> Bbox:
    """Return the box, moved sideways into the axes."""
    x = max(min(box.x0, room.x1 - box.width), room.x0 + 2)
    return Bbox.from_bounds(x, box.y0, box.width, box.height)
