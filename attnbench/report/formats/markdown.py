"""Tables as Markdown."""

from __future__ import annotations

from attnbench.report.tables.table import Table
from attnbench.text import markdown_text


def markdown(table: Table) -> str:
    """Return a pipe table under its caption; all columns but the first aligned right."""
    ruler = [":--", *["--:"] * (len(table.headings) - 1)]
    heading, *rows = ([*map(markdown_text, line)] for line in (table.headings, *table.rows))
    lines = (f"| {' | '.join(cells)} |" for cells in (heading, ruler, *rows))
    return "\n".join([f"**{markdown_text(table.caption)}**", "", *lines, ""])
