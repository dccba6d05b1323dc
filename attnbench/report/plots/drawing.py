"""What all plots share: the canvas, points with tooltips, labels, and overhead in percent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, hypot, isfinite
from textwrap import fill
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.transforms import Affine2D, Bbox

from attnbench.errors import UserError
from attnbench.formatting import title
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.report.plots.style import INK, NOTES, RC, REFERENCE, SETTING, Shape, say
from attnbench.report.tables.run import FAILED, WAITED
from attnbench.stats.quantities.device_time import WAITS
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
    """Return ``SA +16.8% [+12.9, +20.9]``: latency over the plain host."""
    if row["variant"] == PLAIN:
        return "plain host"
    middle, *ends = overhead(row)
    verdict = ", of issuing" if of_issuing(row) else ""
    verdict += "" if sure(row) else ", no verdict"
    return f"{title(row['variant'])} {middle:+.1f}% {bracketed(*ends)}{verdict}"


def bracketed(low: float, high: float) -> str:
    """Return the ends of an overhead's interval in percent: ``[+12.9, +20.9]``."""
    return f"[{low:+.1f}, {high:+.1f}]" if isfinite(high - low) else "[too few rounds]"


def sure(row: pd.Series[Any]) -> bool:
    """Return whether the control of the row's run held, as far as the table tells."""
    fault = row.get("control_fault")
    return not (isinstance(fault, str) and fault)


def of_issuing(row: pd.Series[Any]) -> bool:
    """Return whether the device waited for the host: the row's latency is that of issuing."""
    return bool(row.get("issued_share", 0.0) > WAITS)


def of_device(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with the device's own times as its latency."""
    return in_place_of_latency(table, "device_")


def in_place_of_latency(table: pd.DataFrame, prefix: str) -> pd.DataFrame:
    """Return the table with the columns that begin so as those of its latency."""
    if f"{prefix}ratio" not in table:
        return table.iloc[:0]
    keys = [str(key) for key in table if str(key).startswith(prefix)]
    replaced = [*(key.removeprefix(prefix) for key in keys), "issued_share"]
    others = table.drop(columns=replaced, errors="ignore")
    return others.rename(columns=lambda key: key.removeprefix(prefix))


def foremost(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Return the table with the time to compare by as its latency, and what that is called.

    It is the device's own where the device waited for the host in any row.
    """
    waited = any(of_issuing(row) for _, row in table.iterrows())
    if waited and "device_ratio" in table and table["device_ratio"].notna().any():
        return of_device(table), "device time"
    return table, "latency"


def percent(ratio: Any) -> Any:
    """Return a ratio, or several, as overhead in percent: 1.2 is 20."""
    return (ratio - 1) * 100


def overhead(row: pd.Series[Any], key: str = "ratio_between_runs") -> Span:
    """Return latency over the plain host in percent; ``key`` ``ratio`` for that of one run."""
    middle, low, high = (percent(row[f"{key}{end}"]) for end in ("", "_low", "_high"))
    return middle, low, high


WIDEST_INTERVALS = "intervals include the variation between runs"
"""What the whiskers of latency cover, on the axis that has them."""


LINE = 78
"""Characters of a line of notes across the figure."""


def canvas(
    height: float, rows: int = 1, columns: int = 1, *, sharex: bool = False
) -> tuple[Figure, list[Axes]]:
    """Return a figure as wide as a column of print, ``height`` in inches, and its panels."""
    with mpl.rc_context(RC):
        figure = Figure(figsize=(5.2, height), layout="constrained")
        panels = figure.subplots(rows, columns, sharex=sharex, sharey=rows == 1, squeeze=False)
        return figure, list(panels.flat)


def titled(figure: Figure, setting: str, table: pd.DataFrame, *, exact: bool = False) -> Figure:
    """Return the figure under its setting, which also says whether controls held.

    Of several runs the points show which; ``exact`` figures are valid whatever a control says.
    """
    held = [sure(row) for _, row in table.iterrows()]
    if not exact:
        if not any(held):
            setting += FAILED
        elif not all(held):
            setting += "; pale and hollow: too noisy to judge"
        if any(of_issuing(row) for _, row in table.iterrows()):
            setting += WAITED
    text = wrapped(no_formula(setting))
    figure.suptitle(text, fontsize=8, x=0.01, ha="left").set_gid(SETTING)
    return figure


def noted(figure: Figure, notes: str) -> None:
    """Write what the plot means below it."""
    figure.supxlabel(wrapped(notes), fontsize=8, x=0.01, ha="left").set_gid(NOTES)


def wrapped(text: str) -> str:
    """Return text in lines across the figure, broken between words: a page joins them again."""
    return fill(text, LINE, break_on_hyphens=False)


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
    size: float = 7,
) -> None:
    """Draw a marker with its intervals and a tooltip; a pale one, without a verdict, is hollow."""
    colour, marker = shape
    face, edge, width = ("none", colour, 1.2) if hollow or pale else (colour, INK, 0.4)
    style: Any = {"markerfacecolor": face, "markeredgecolor": edge, "markeredgewidth": width}
    at, alpha = _errors("x", x) | _errors("y", y), PALE if pale else None
    drawn = axes.errorbar(**at, **style, fmt=marker, color=colour, markersize=size, alpha=alpha)
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


def legend_below(
    figure: Figure, look: Mapping[str, Shape], variants: Sequence[str], notes: str
) -> None:
    """Draw notes and a legend below the figure, for names that are too long beside their points."""
    shapes, names = [look[variant] for variant in variants], list(map(written, variants))
    points = [Line2D([], [], color=colour, marker=marker, ls="none") for colour, marker in shapes]
    legend = figure.legend(
        points,
        names,
        loc="outside lower left",
        ncols=3,
        fontsize=7,
        frameon=False,
        title=wrapped(notes),
        title_fontsize=8,
        alignment="left",
    )
    tooltips(legend.get_texts(), variants)
    figure.set_figheight(figure.get_figheight() + 0.2 + 0.17 * ceil(len(variants) / 3))


AROUND = 3.0
"""Distance of a name from its point or whisker, in typographic points."""

FAR = 6.0
"""Distance of a name from its point and whiskers from which on a line leads to the point."""


def label(  # noqa: PLR0913  what stands where, and how it is written
    axes: Axes,
    variants: Iterable[str],
    x: Iterable[float | Span],
    y: Iterable[float | Span],
    texts: Iterable[str] | None = None,
    *,
    size: float = 8,
    lines: Iterable[tuple[float, float, float, float]] = (),
) -> None:
    """Write each module's name, or its text, beside its point: clear of points, whiskers, names.

    An empty text is not written. A line leads to a point whose text found no place close by.
    ``lines`` are others to keep clear of, each from ``x, y`` to ``x, y`` along an axis.
    Call it when the figure is otherwise finished and laid out.
    """
    variants, spans = list(variants), list(zip(x, y, strict=True))
    names = list(texts) if texts is not None else list(map(written, variants))
    scale = 72 / axes.figure.dpi
    room = axes.bbox.transformed(Affine2D().scale(scale))
    marks = [_marks(axes, span, scale) for span in spans]
    taken = [box for boxes in marks for box in boxes]
    for left, low, right, high in lines:
        (x0, y0), (x1, y1) = axes.transData.transform([(left, low), (right, high)]) * scale
        taken.append(Bbox.from_extents(min(x0, x1), min(y0, y1) - 1, max(x0, x1), max(y0, y1) + 1))
    for variant, name, span, (point_box, *whiskers) in zip(
        variants, names, spans, marks, strict=True
    ):
        if not name:
            continue
        width, height = 0.7 * size * len(name), size + 1
        boxes = list(_places([point_box, *whiskers], width, height, room))
        box = min(boxes, key=lambda box: sum(map(box.overlaps, taken)) + 3 * _outside(box, room))
        taken.append(box)
        at = (_finite(span[0])[0], _finite(span[1])[0])
        centre = ((point_box.x0 + point_box.x1) / 2, (point_box.y0 + point_box.y1) / 2)
        offset = (box.x0 - centre[0], box.y0 - centre[1])
        text = axes.annotate(
            name,
            at,
            xytext=offset,
            textcoords="offset points",
            fontsize=size,
            va="bottom",
            arrowprops=_leader(box, (point_box, *whiskers)),
        )
        text.set_in_layout(False)  # it lies inside the axes
        if texts is None:
            tooltips([text], [variant])


def _leader(box: Bbox, marks: Sequence[Bbox]) -> dict[str, Any] | None:
    """Return the line from a name to its point; None where it stands close to any of its marks.

    ``marks`` are the boxes of its point, which comes first, and of its whiskers.
    """
    if min(_gap(box, mark) for mark in marks) < FAR:
        return None
    point = marks[0]
    # Where in the name the line begins: its own nearest place, as shares of width and height.
    nearest = (
        _share((point.x0 + point.x1) / 2, box.x0, box.x1),
        _share((point.y0 + point.y1) / 2, box.y0, box.y1),
    )
    return {
        "arrowstyle": "-",
        "color": REFERENCE,
        "linewidth": 0.5,
        "relpos": nearest,
        "shrinkA": 1,
        "shrinkB": 3,
    }


def _gap(box: Bbox, other: Bbox) -> float:
    """Return the distance between two boxes."""
    across = max(box.x0 - other.x1, other.x0 - box.x1, 0.0)
    up = max(box.y0 - other.y1, other.y0 - box.y1, 0.0)
    return hypot(across, up)


def _share(value: float, low: float, high: float) -> float:
    """Return where a value lies between two, from 0 to 1."""
    return min(max((value - low) / (high - low), 0.0), 1.0)


def _marks(axes: Axes, span: tuple[float | Span, float | Span], scale: float) -> list[Bbox]:
    """Return the boxes of a point's marker and of its whiskers, in typographic points."""
    (x, left, right), (y, low, high) = map(_finite, span)
    corners = axes.transData.transform([(x, y), (left, low), (right, high)]) * scale
    (x, y), (left, low), (right, high) = corners
    cap = 3.0  # half of its length
    level = [Bbox.from_extents(left, y - cap, right, y + cap)] if right > left else []
    upright = [Bbox.from_extents(x - cap, low, x + cap, high)] if high > low else []
    return [Bbox.from_bounds(x - 4, y - 4, 8, 8), *level, *upright]


def _finite(value: float | Span) -> Span:
    """Return a coordinate with the ends that are drawn; the point alone after too few rounds."""
    middle, low, high = value if isinstance(value, tuple) else (value,) * 3
    return (middle, low, high) if isfinite(high - low) else (middle,) * 3


def _places(marks: Sequence[Bbox], width: float, height: float, room: Bbox) -> Iterator[Bbox]:
    """Yield boxes for a name, the best first: about its point, about its whisker, then farther."""
    for far in (0.0, 9.0, 18.0, 27.0):
        for around in marks:
            middle_x, middle_y = (around.x0 + around.x1) / 2, (around.y0 + around.y1) / 2
            right, left = around.x1 + AROUND + far / 3, around.x0 - AROUND - far / 3 - width
            above, below = around.y1 + 1 + far, around.y0 - 1 - far - height
            for x, y in (
                (right, middle_y - height / 2),
                (right, above - 4),
                (middle_x - width / 2, above),
                (middle_x - width / 2, below),
                (right, below + 4),
                (left, middle_y - height / 2),
                (left, above - 4),
                (left, below + 4),
            ):
                inside = max(min(x, room.x1 - width), room.x0 + 2)
                yield Bbox.from_bounds(inside, y, width, height)


def _outside(box: Bbox, room: Bbox) -> bool:
    return bool(box.y0 < room.y0 or box.y1 > room.y1)
