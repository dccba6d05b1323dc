"""What all plots share: the canvas, points with tooltips, labels, and overhead in percent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, isfinite
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
from attnbench.report.plots.style import INK, RC, Shape, say
from attnbench.report.tables.run import FAILED
from attnbench.text import printable

Span = tuple[float, float, float]
"""A median and the ends of its interval, which are infinite after too few rounds."""


@dataclass(frozen=True)
class Plot:
    """A plot: what draws it, whether a table has its data, and its text alternative."""

    caption: str
    draw: Callable[[pd.DataFrame, str], Figure]
    fits: Callable[[pd.DataFrame], bool]
    describe: Callable[[pd.DataFrame], str]


def spoken(row: pd.Series[Any]) -> str:
    """Return ``SA +16.8% [+15.9, +17.6]``: latency over the plain host."""
    if row["variant"] == PLAIN:
        return "plain host"
    middle, low, high = overhead(row)
    doubt = f"{low:+.1f}, {high:+.1f}" if isfinite(high - low) else "too few rounds"
    verdict = "" if sure(row) else ", no verdict"
    return f"{title(row['variant'])} {middle:+.1f}% [{doubt}]{verdict}"


def sure(row: pd.Series[Any]) -> bool:
    """Return whether the control of the row's run held, as far as the table tells."""
    fault = row.get("control_fault")
    return not (isinstance(fault, str) and fault)


def percent(ratio: Any) -> Any:
    """Return a ratio, or several, as overhead in percent: 1.2 is 20."""
    return (ratio - 1) * 100


def overhead(row: pd.Series[Any]) -> Span:
    """Return latency over the plain host in percent."""
    middle, low, high = (percent(row[key]) for key in ("ratio", "ratio_low", "ratio_high"))
    return middle, low, high


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
    figure.suptitle(fill(no_formula(setting), 88), fontsize=8, x=0.01, ha="left")
    return figure


def of_one_run(known: pd.DataFrame, *keys: str) -> pd.DataFrame:
    """Return the rows unless they are of several runs and would be taken for those of one.

    Raises:
        UserError: a module has several rows.
    """
    if known.duplicated(["variant", *keys]).any():
        raise UserError("several rows of one module: choose one run of the table for this plot")
    return known


def modules(table: pd.DataFrame, *figures: str) -> pd.DataFrame:
    """Return the rows of modules, without plain host and control, that have those figures."""
    return table[~table["variant"].isin([PLAIN, CONTROL])].dropna(subset=list(figures))


PALE = 0.5
"""Opacity of a point whose control failed."""


def point(  # noqa: PLR0913  all that a point shows
    axes: Axes,
    x: float | Span,
    y: float | Span,
    shape: Shape,
    words: str,
    *,
    hollow: bool = False,
    pale: bool = False,
) -> None:
    """Draw a marker with its intervals and a tooltip; a pale one, without a verdict, is hollow."""
    colour, marker = shape
    face, edge, width = ("none", colour, 1.2) if hollow or pale else (colour, INK, 0.4)
    style: Any = {"markerfacecolor": face, "markeredgecolor": edge, "markeredgewidth": width}
    at, alpha = _errors("x", x) | _errors("y", y), PALE if pale else None
    drawn = axes.errorbar(**at, **style, fmt=marker, color=colour, markersize=7, alpha=alpha)
    say(drawn.lines[0], words)


def _errors(axis: str, value: float | Span) -> dict[str, Any]:
    """Return a coordinate and the distances to its interval's ends, as ``errorbar`` takes them."""
    if not isinstance(value, tuple):
        return {axis: value}
    middle, low, high = value
    distances = [[middle - low], [high - middle]] if isfinite(high - low) else None
    return {axis: middle, f"{axis}err": distances}


LONGEST_NAME, LONGEST_BESIDE = 20, 9
"""Characters of a name, and of one beside its point in a panel of half width."""


def written(variant: str) -> str:
    """Return a module's name for plots: shortened, and without a formula between dollars."""
    name = title(variant)
    if len(name) > LONGEST_NAME:
        half = LONGEST_NAME // 2
        name = f"{name[: half - 1]}…{name[-half:]}"
    return no_formula(name)


def no_formula(text: str) -> str:
    """Return text on one line in which no formula stands between dollars."""
    return printable(text).replace("$", r"\$")


def tooltips(texts: Iterable[Text], variants: Iterable[str]) -> None:
    """Give shortened labels their whole names as tooltips."""
    for text, variant in zip(texts, variants, strict=True):
        if len(title(variant)) > LONGEST_NAME:
            say(text, title(variant))


def label_rows(axes: Axes, variants: Sequence[str]) -> None:
    """Label the vertical axis with one module a line."""
    axes.set_yticks(range(len(variants)), [written(variant) for variant in variants])
    tooltips(axes.get_yticklabels(), variants)


def legend_below(figure: Figure, look: Mapping[str, Shape], variants: Sequence[str]) -> None:
    """Draw a legend below the figure, for names that are too long beside their points."""
    shapes, names = [look[variant] for variant in variants], list(map(written, variants))
    points = [Line2D([], [], color=colour, marker=marker, ls="none") for colour, marker in shapes]
    legend = figure.legend(
        points, names, loc="outside lower left", ncols=3, fontsize=7, frameon=False
    )
    tooltips(legend.get_texts(), variants)
    figure.set_figheight(figure.get_figheight() + 0.17 * ceil(len(variants) / 3))


SIDES = ((7, 3), (7, -11), (-7, 3), (-7, -11), (0, 8), (0, -16), (7, 14), (7, -22))
"""Offsets of a name from its point, in typographic points, the best first."""


def label(axes: Axes, variants: Iterable[str], x: Iterable[float], y: Iterable[float]) -> None:
    """Write each module's name beside its point, inside the axes and clear of others if possible.

    Call it when the figure is otherwise finished and laid out.
    """
    points, scale = list(zip(x, y, strict=True)), 72 / axes.figure.dpi
    places = axes.transData.transform(points) * scale
    room = axes.bbox.transformed(Affine2D().scale(scale))
    taken = [Bbox.from_bounds(left - 4, bottom - 4, 8, 8) for left, bottom in places]
    for variant, at, place in zip(variants, points, places, strict=True):
        name = written(variant)
        boxes = [_box(room, place, side, 5.5 * len(name)) for side in SIDES]
        box = min(boxes, key=lambda box: sum(map(box.overlaps, taken)))
        taken.append(box)
        offset = (box.x0 - place[0], box.y0 - place[1])
        text = axes.annotate(name, at, xytext=offset, textcoords="offset points", fontsize=8)
        text.set_in_layout(False)  # it lies inside the axes
        tooltips([text], [variant])


def _box(room: Bbox, place: Sequence[float], side: tuple[float, float], width: float) -> Bbox:
    """Return about what a name covers there, moved sideways into the axes."""
    left = place[0] + side[0] - width * (1 - np.sign(side[0])) / 2
    left = max(min(left, room.x1 - width), room.x0 + 2)
    return Bbox.from_bounds(left, place[1] + side[1], width, 9)
