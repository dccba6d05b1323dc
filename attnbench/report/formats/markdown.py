"""Sheets set as Markdown."""

from __future__ import annotations

import re

from attnbench.report.tables.table import Table

_ENDS = r"\[[-+]?[\d.,]+, [-+]?[\d.,]+\]"
_INTERVAL = re.compile(rf"({_ENDS}(?![(\[])|\[95%\]|\[too few rounds\])")
"""Brackets that stand for themselves as they are; all others could be a link's."""

_SIGNS = (
    (re.compile(r"([\\*`|\[\]~$])"), r"\\\1"),
    (re.compile(r"(?<![^\W_])_|_(?![^\W_])"), r"\\_"),  # within a word it is no emphasis
    (re.compile(r"&(?=#?\w+;)"), "&amp;"),
    (re.compile("<"), "&lt;"),
    (re.compile(">"), "&gt;"),
    (re.compile(r"^(#+|[-+]|=+|-{2,})(?=\s|$)"), r"\\\1"),  # headings, lists and rulers
    (re.compile(r"^(\d+)([.)])(?=\s|$)"), r"\1\\\2"),
)


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, on one line; intervals stay legible in the file too."""
    pieces = _INTERVAL.split(" ".join(text.split()))
    return "".join(piece if number % 2 else _escaped(piece) for number, piece in enumerate(pieces))


def _escaped(text: str) -> str:
    for sign, shown in _SIGNS:
        text = sign.sub(shown, text)
    return text


def markdown(sheet: Table) -> str:
    """A pipe table under its caption; all columns but the first to the right."""
    ruler = "| " + " | ".join([":--", *["--:"] * (len(sheet.headings) - 1)]) + " |"
    heading, *body = (
        "| " + " | ".join(map(escaped, line)) + " |" for line in (sheet.headings, *sheet.rows)
    )
    return "\n".join([f"**{escaped(sheet.caption)}**", "", heading, ruler, *body, ""])
