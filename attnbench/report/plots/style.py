"""One look for every plot: sizes for print, and the same colour and marker for a module."""

from __future__ import annotations

from typing import Any

from matplotlib.artist import Artist

# Paul Tol's "muted" scheme, distinct for all common kinds of colour vision
# (https://sronpersonalpages.nl/~pault/); marker shapes tell the modules apart without colour.
MODULES = {
    "se": ("#332288", "o"),
    "cbam": ("#CC6677", "s"),
    "eca": ("#117733", "^"),
    "gc": ("#88CCEE", "D"),
    "sk": ("#882255", "v"),
    "sge": ("#999933", "P"),
    "sa": ("#AA4499", "X"),
}
COLOURS, MARKERS = ("#44AA99", "#DDCC77", "#661100", "#6699CC"), "<>ph"
OTHERS = tuple(
    (colour, MARKERS[(turn + place) % len(MARKERS)])
    for turn in range(len(MARKERS))
    for place, colour in enumerate(COLOURS)
)
"""For modules that are not in the table, in the order in which they appear."""

INK, PAPER, GRID = "#1b1f24", "#ffffff", "#dddddd"
"""What a page shows in its own colours."""

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

SPOKEN = "says: "
"""What the id of an artist begins with that has words for whoever points at it."""


def looks(variants: list[str]) -> dict[str, tuple[str, str]]:
    """Colour and marker of each module: fixed for the table's, in turn for others."""
    others = [name for name in variants if name not in MODULES]
    return MODULES | {name: OTHERS[i % len(OTHERS)] for i, name in enumerate(others)}


def say(artist: Artist, words: str) -> None:
    """Give a point its words; ``svg`` shows them under the pointer."""
    artist.set_gid(SPOKEN + words)
