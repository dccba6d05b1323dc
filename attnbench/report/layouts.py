"""Sheets set as Markdown."""

from __future__ import annotations

from .sheets import Sheet

_MARKDOWN = str.maketrans({"|": r"\|", "<": "&lt;", ">": "&gt;", "\n": " "})


def escaped(text: str) -> str:
    """Text that Markdown shows as it is."""
    return text.translate(_MARKDOWN)


def markdown(sheet: Sheet) -> str:
    """A pipe table under its caption; all columns but the first to the right."""
    ruler = [":--", *["--:"] * (len(sheet.headings) - 1)]
    lines = [sheet.headings, ruler, *sheet.rows]
    body = ("| " + " | ".join(map(escaped, line)) + " |" for line in lines)
    return "\n".join([f"**{sheet.caption}**", "", *body, ""])
