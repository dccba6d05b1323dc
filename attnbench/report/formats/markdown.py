"""Tables as Markdown."""

from __future__ import annotations

import re

from attnbench.report.tables.table import Table
from attnbench.text import printable

_ENDS = r"\[[-+]?[\d.,]+, [-+]?[\d.,]+\]"
_INTERVAL = re.compile(rf"({_ENDS}(?![(\[])|\[95%\]|\[too few rounds\])")
"""Brackets of intervals, left as they are; all others could be a link's."""

_ESCAPES = (
    (re.compile(r"([\\*`|\[\]~$])"), r"\\\1"),
    (re.compile(r"(?<![^\W_])_|_(?![^\W_])"), r"\\_"),  # within a word it is no emphasis
    (re.compile(r"&(?=#?\w+;)"), "&amp;"),
    (re.compile("<"), "&lt;"),
    (re.compile(">"), "&gt;"),
    (re.compile(r"^(#+|[-+]|=+|-{2,})(?=\s|$)"), r"\\\1"),  # headings, lists and rulers
    (re.compile(r"^(\d+)([.)])(?=\s|$)"), r"\1\\\2"),
)


def escaped(text: str) -> str:
    """Return text that Markdown shows as it is, on one line, with intervals legible in the file."""
    parts = _INTERVAL.split(printable(text))
    for number in range(0, len(parts), 2):  # every other part is an interval
        for pattern, replacement in _ESCAPES:
            parts[number] = pattern.sub(replacement, parts[number])
    return "".join(parts)


def markdown(table: Table) -> str:
    """Return a pipe table under its caption; all columns but the first aligned right."""
    ruler = [":--", *["--:"] * (len(table.headings) - 1)]
    heading, *rows = ([*map(escaped, line)] for line in (table.headings, *table.rows))
    lines = (f"| {' | '.join(cells)} |" for cells in (heading, ruler, *rows))
    return "\n".join([f"**{escaped(table.caption)}**", "", *lines, ""])
