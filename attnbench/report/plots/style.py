"""Define the style of every plot: sizes for print, and one colour and marker for each module."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from matplotlib.artist import Artist

from attnbench.modules import ATTENTION
from attnbench.text import visible

MODULES = {
    row.name: (row.colour, row.marker) for row in ATTENTION.values() if row.colour and row.marker
}
"""Colour and marker that a row of the table states."""

# Of the same scheme as those of the table.
COLOURS, MARKERS = ("#44AA99", "#DDCC77", "#661100", "#6699CC"), "<>ph"
OTHERS = tuple(
    (colour, MARKERS[(turn + place) % len(MARKERS)])
    for turn in range(len(MARKERS))
    for place, colour in enumerate(COLOURS)
)
"""For all other modules, in the order in which they appear."""

INK, PAPER, GRID = "#1b1f24", "#ffffff", "#dddddd"
"""Replaced by the colours of the page that shows the plot."""

REFERENCE = "#777777"

RC: Any = {
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.facecolor": PAPER,
    "figure.facecolor": PAPER,
    "xtick.color": INK,
    "ytick.color": INK,
    "lines.markeredgecolor": INK,
    "lines.markeredgewidth": 0.4,
    "errorbar.capsize": 3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "svg.fonttype": "none",
    "svg.hashsalt": "attnbench",  # the same records give the same file
    "savefig.dpi": 200,
}

Shape = tuple[str, str]
"""Colour and marker."""

SETTING = "setting"
"""The id of the line above a plot, which a page states once for all of its plots."""

NOTES = "notes"
"""The id of the lines below a plot, which a page sets as text of its own."""

SPOKEN = "says: "
"""Prefix of the id of an artist that has a tooltip."""


def looks(variants: Iterable[str]) -> dict[str, Shape]:
    """Return colour and marker by module: those of its row, or the next of :data:`OTHERS`."""
    others = [name for name in dict.fromkeys(variants) if name not in MODULES]
    return MODULES | {name: OTHERS[i % len(OTHERS)] for i, name in enumerate(others)}


def say(artist: Artist, words: str) -> None:
    """Give an artist a tooltip, which ``svg`` shows under the pointer."""
    artist.set_gid(SPOKEN + visible(words))
