"""What all plots share: the canvas, points with their words, and percent over the plain host."""

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
    """A plot: what draws it, for which tables, and what it says in words."""

    caption: str
    draw: Callable[[pd.DataFrame, str], Figure]
    fits: Callable[[pd.DataFrame], bool]
    describe: Callable[[pd.DataFrame], str]


def spoken(row: pd.Series[Any]) -> str:
    """``SA +16.8% [+15.9, +17.6]``: latency over the plain host."""
    middle, error = with_error(row)
    if row["variant"] == PLAIN:
        return "plain host"
    low, high = percent(row["ratio_low"]), percent(row["ratio_high"])
    doubt = "too few rounds" if error is None else f"{low:+.1f}, {high:+.1f}"
    verdict = "" if sure(row) else ", no verdict"
    return f"{title(row['variant'])} {middle:+.1f}% [{doubt}]{verdict}"


def sure(row: pd.Series[Any]) -> bool:
    """Whether the control of the row's run held, as far as the table says."""
    fault = row.get("control_fault")
    return not (isinstance(fault, str) and fault)


def percent(ratio: Any) -> Any:
    """A ratio, or several, as what is over 1 in percent."""
    return (ratio - 1) * 100


def with_error(row: pd.Series[Any]) -> tuple[float, list[list[float]] | None]:
    """Latency over the plain host in percent, and the distances of its interval's ends."""
    middle, low, high = (percent(row[key]) for key in ("ratio", "ratio_low", "ratio_high"))
    finite = bool(np.isfinite([low, high]).all())
    return middle, [[middle - low], [high - middle]] if finite else None


def canvas(height: float) -> tuple[Figure, Axes]:
    """A figure as wide as a column of print."""
    with mpl.rc_context(RC):
        figure = Figure(figsize=(5.2, height), layout="constrained")
        return figure, figure.subplots()


def titled(figure: Figure, setting: str, table: pd.DataFrame, *, exact: bool = False) -> Figure:
    """The figure under the setting that its table was measured in, and whether controls held.

    Of several runs the points tell which; ``exact`` figures stand whatever a control says.
    """
    held = [sure(row) for _, row in table.iterrows()]
    if not any(held):
        setting += FAILED
    elif not all(held) and not exact:
        setting += "; pale and hollow: there the control failed, no verdicts"
    figure.suptitle(fill(setting, 88), fontsize=8, x=0.01, ha="left")
    return figure


def refuse_several(known: pd.DataFrame, *keys: str) -> None:
    """See that each module stands there once: points of several runs would be taken for one's.

    Raises:
        UserError: it does not.
    """
    if known.duplicated(["variant", *(key for key in keys if key in known)]).any():
        raise UserError("several rows of one module: choose one run of the table for this plot")


def modules(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of modules, without plain host and control."""
    return table[~table["variant"].isin([PLAIN, CONTROL])]


def timed(table: pd.DataFrame) -> pd.DataFrame:
    """The modules that have a ratio."""
    return modules(table).dropna(subset=["ratio"])


PALE = 0.5
"""How much ink a point has that no control vouches for."""


def point(  # noqa: PLR0913  what a point is
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
    """A marker of that colour and shape with its interval, and words under the pointer.

    One that is pale, as without a verdict, is hollow too.
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
"""Signs of a name, and of one that can stand beside its point in half of a figure's width."""


def written(variant: str) -> str:
    """A module's name as plots write it: not too long, and a dollar in it no mathematics."""
    name = title(variant)
    if len(name) > LONGEST_NAME:
        half = LONGEST_NAME // 2
        name = f"{name[: half - 1]}…{name[-half:]}"
    return name.replace("$", r"\$")


def name(texts: Iterable[Text], variants: Iterable[str]) -> None:
    """Give those labels that are shortened their whole names, for whoever points at them."""
    for text, variant in zip(texts, variants, strict=True):
        if len(title(variant)) > LONGEST_NAME:
            say(text, title(variant))


def labelled(axes: Axes, variants: Sequence[str]) -> None:
    """A line of the upright axis for each module."""
    axes.set_yticks(range(len(variants)), [written(variant) for variant in variants])
    name(axes.get_yticklabels(), variants)


def keyed(figure: Figure, look: Mapping[str, tuple[str, str]], variants: Sequence[str]) -> None:
    """A key below the figure, where names are too long to stand beside their points."""
    points = [
        Line2D([], [], color=look[each][0], marker=look[each][1], linestyle="none")
        for each in variants
    ]
    names = [written(each) for each in variants]
    key = figure.legend(points, names, loc="outside lower left", ncols=3, fontsize=7, frameon=False)
    name(key.get_texts(), variants)
    figure.set_figheight(figure.get_figheight() + 0.17 * ceil(len(names) / 3))


SIDES = ((7, 3), (7, -11), (-7, 3), (-7, -11), (0, 8), (0, -16), (7, 14), (7, -22))
"""Where a name may stand beside its point, in points of print, the best place first."""


def label(axes: Axes, points: Mapping[str, tuple[float, float]]) -> None:
    """Each module's name beside its point, within the axes and clear of others where it can be.

    To be called when the figure is otherwise finished and laid out.
    """
    places = {variant: _place(axes, at) for variant, at in points.items()}
    taken = [Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in places.values()]
    room = axes.bbox.transformed(Affine2D().scale(72 / axes.figure.dpi))
    for variant, at in points.items():
        x, y = places[variant]
        boxes = [_within(room, _box((x, y), side, written(variant))) for side in SIDES]
        box = min(boxes, key=lambda box: sum(box.overlaps(each) for each in taken))
        taken.append(box)
        text = axes.annotate(
            written(variant),
            at,
            xytext=(box.x0 - x, box.y0 - y),
            textcoords="offset points",
            fontsize=8,
        )
        text.set_in_layout(False)  # it has its place within what is laid out
        name([text], [variant])


def _place(axes: Axes, at: tuple[float, float]) -> tuple[float, float]:
    """Where a point is on the canvas, in points of print."""
    x, y = axes.transData.transform(at) * 72 / axes.figure.dpi
    return float(x), float(y)


def _box(place: tuple[float, float], side: tuple[float, float], text: str) -> Bbox:
    """What a name would cover there, nearly."""
    width = 5.5 * len(text)
    before = {-1: width, 0: width / 2, 1: 0}[int(np.sign(side[0]))]
    return Bbox.from_bounds(place[0] + side[0] - before, place[1] + side[1], width, 9)


def _within(room: Bbox, box: Bbox) -> Bbox:
    """The box, moved sideways to where there is room."""
    x = max(min(box.x0, room.x1 - box.width), room.x0 + 2)
    return Bbox.from_bounds(x, box.y0, box.width, box.height)
