"""Names beside their points, where they cover neither points, whiskers nor each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import hypot, isfinite
from typing import Any

from matplotlib.axes import Axes
from matplotlib.transforms import Affine2D, Bbox

from attnbench.report.plots.drawing.names import tooltips, written
from attnbench.report.plots.drawing.rows import Span
from attnbench.report.plots.style import REFERENCE

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
