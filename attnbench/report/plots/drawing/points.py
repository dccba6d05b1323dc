"""Points with their intervals and tooltips."""

from __future__ import annotations

from math import isfinite
from typing import Any

from matplotlib.axes import Axes

from attnbench.report.plots.drawing.rows import Span
from attnbench.report.plots.style import INK, Shape, say

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
