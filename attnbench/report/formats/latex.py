"""Sheets set as LaTeX, as wide as a column of text on A4 and with no package but booktabs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import ceil

from attnbench.formatting import IntervalText
from attnbench.report.formats.latex_escape import escaped
from attnbench.report.tables.table import Table

NOTES = (
    "Needs \\usepackage{booktabs}. A table that is too wide for the text of an article on A4 is "
    "split, with its first column again in each part.",
    "U+ and four digits stand for a sign that LaTeX lacks without packages for its script.",
)
"""What whoever puts the tables into a paper should know."""

PAGE_PT = 345
"""The width of the text in ``\\documentclass[a4paper]{article}``."""

SMALL = 0.925
"""Of ``\\small``, beside the size of the text."""

MOST_AT_FULL_SIZE = 5
"""Columns that are never set smaller where they fit."""

MOST_LINES = 45
"""On a page, in small print."""

LONGEST_WORDS = 22
"""Signs of a cell that is not broken into lines."""

LONGEST_TOKEN = 18
"""Signs that are never broken."""

BROKEN_PT = 114
"""The width of a column whose cells are broken into lines: LONGEST_WORDS of letters like n."""

NARROWEST_HEADING = 10
"""Signs for which a heading is not broken into lines."""

BETWEEN_PT, LATEX_BETWEEN_PT = 7, 12
"""From column to column: in small print, and as LaTeX has it."""

_WIDTHS_PT = {".,:;'|ijl": 2.8, " frt[]()": 3.5, "0123456789": 5.0, "mw±%+@–": 8.0, "MW": 10.5}
"""Of signs in Computer Modern at 10 points; others by their kind."""

_TOKEN = re.compile(rf"\s|[^\s/,:_.]{{0,{LONGEST_TOKEN}}}[/,:_.]|[^\s/,:_.]{{1,{LONGEST_TOKEN}}}")


def comments(notes: Sequence[str]) -> list[str]:
    """Each note as a comment of one line, whatever stands in it."""
    return [f"% {' '.join(note.split())}" for note in notes]


def latex(sheet: Table, setting: str) -> str:
    """Booktabs tables; the caption ends with the setting, and says what ± is where it is used."""
    headings = [heading.removesuffix(" [95%]") for heading in sheet.headings]
    rows = [[_shown(cell) for cell in row] for row in sheet.rows]
    columns = [_Column(heading, [row[n] for row in rows]) for n, heading in enumerate(headings)]
    doubted = any(isinstance(cell, IntervalText) for row in sheet.rows for cell in row)
    doubt = " ± is the distance to the farther end of the 95% interval." if doubted else ""
    parts = [(chosen, page) for page in _pages(columns) for chosen in _fitting(columns)]
    tables = []
    for number, (chosen, page) in enumerate(parts, start=1):
        part = f" ({number} of {len(parts)})" if len(parts) > 1 else ""
        caption = escaped(f"{sheet.caption}{part}. {setting}.{doubt}")
        tables.append(_table(chosen, page, caption))
    return "\n".join(tables)


class _Column:
    """A column with what it takes of the page."""

    def __init__(self, heading: str, cells: Sequence[str]) -> None:
        self.cells = cells
        longest = max(map(len, cells), default=0)
        self.broken = longest > LONGEST_WORDS
        widest = LONGEST_WORDS if self.broken else longest
        self.heading = _lines(heading, max(widest, NARROWEST_HEADING))
        shown = [*self.heading, *([] if self.broken else cells)]
        self.cell_pt = BROKEN_PT if self.broken else 0.0
        self.width_pt = max([self.cell_pt, *map(_width_pt, shown)])

    def layout(self, *, first: bool) -> str:
        """Its letter in the preamble; points are those of the small size."""
        if self.broken:
            return f"p{{{self.cell_pt * SMALL:.0f}pt}}"
        return "l" if first else "r"

    def lines(self, row: int) -> int:
        """What one cell takes of the page's height."""
        return len(_lines(self.cells[row], LONGEST_TOKEN)) if self.broken else 1

    def set(self, row: int) -> str:
        """One cell."""
        if not self.broken:
            return escaped(self.cells[row])
        return r"\rightskip=0pt plus 1fil\hspace{0pt}" + _breakable(self.cells[row])


def _table(columns: Sequence[_Column], rows: range, caption: str) -> str:
    small = len(columns) > MOST_AT_FULL_SIZE or not _fit(columns, 1)
    small = small or any(column.broken for column in columns)
    preamble = "".join(column.layout(first=number == 0) for number, column in enumerate(columns))
    heading = [
        _stacked(column.heading, "l" if number == 0 else "r")
        for number, column in enumerate(columns)
    ]
    return "\n".join(
        [
            r"\begin{table}",
            rf"  \caption{{{caption}}}",
            *([rf"  \small\setlength{{\tabcolsep}}{{{BETWEEN_PT / 2}pt}}"] if small else []),
            rf"  \begin{{tabular}}{{{preamble}}}",
            r"    \toprule",
            _row(heading),
            r"    \midrule",
            *(_row([column.set(number) for column in columns]) for number in rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _pages(columns: Sequence[_Column]) -> list[range]:
    """The rows in parts that are no longer than a page."""
    parts, taken = [range(0)], 0
    for row in range(len(columns[0].cells)):
        lines = max(column.lines(row) for column in columns)
        if taken and taken + lines > MOST_LINES:
            parts.append(range(row, row))
            taken = 0
        parts[-1] = range(parts[-1].start, row + 1)
        taken += lines
    return parts


def _fitting(columns: Sequence[_Column]) -> list[list[_Column]]:
    """The columns in as few parts as the page has room for, each with the first of all."""
    parts = _parts(columns, len(columns))
    even = _parts(columns, ceil((len(columns) - 1) / len(parts)))
    return even if len(even) == len(parts) else parts


def _parts(columns: Sequence[_Column], most: int) -> list[list[_Column]]:
    """Parts that fit, of at most so many columns beside the first of all."""
    first, *others = columns
    parts = [[first]]
    for column in others:
        part = parts[-1]
        if len(part) > most or (len(part) > 1 and not _fit([*part, column], SMALL)):
            parts.append([first])
        parts[-1].append(column)
    return parts


def _fit(columns: Sequence[_Column], size: float) -> bool:
    between = LATEX_BETWEEN_PT if size == 1 else BETWEEN_PT
    return sum(column.width_pt * size + between for column in columns) <= PAGE_PT


def _width_pt(text: str) -> float:
    """What the text takes at 10 points, nearly, and rather more than less."""
    return sum(map(_sign_pt, text))


def _sign_pt(char: str) -> float:
    for signs, width in _WIDTHS_PT.items():
        if char in signs:
            return width
    if char.isascii():
        return 7.4 if char.isupper() else 5.1
    return 7.6 if len(escaped(char)) < len(r"\texttt{U+") else 36.0


def _shown(cell: str) -> str:
    """A figure with its doubt as papers print it; anything else as it is, on one line."""
    return cell.plus_minus if isinstance(cell, IntervalText) else " ".join(cell.split())


def _lines(text: str, width: int) -> list[str]:
    """The text in lines of so many signs, broken within a word only where it has more."""
    lines = [""]
    for word in text.split():
        for number, piece in enumerate([word] if len(word) <= width else _tokens(word)):
            joined = f"{lines[-1]} {piece}" if number == 0 else lines[-1] + piece
            if lines[-1] and len(joined) > width:
                lines.append(piece)
            else:
                lines[-1] = joined.lstrip()
    return lines


def _stacked(lines: Sequence[str], side: str) -> str:
    """A heading of several lines."""
    if len(lines) == 1:
        return escaped(lines[0])
    stacked = r"\\".join(map(escaped, lines))
    return rf"\begin{{tabular}}[b]{{@{{}}{side}@{{}}}}{stacked}\end{{tabular}}"


def _tokens(text: str) -> list[str]:
    """What no line is broken in: words, to where they are joined, and parts of long ones."""
    tokens = []
    for token in _TOKEN.findall(text):
        half = len(token) // 2 if _width_pt(token) > BROKEN_PT else len(token)
        tokens += [token[:half], token[half:]] if half < len(token) else [token]
    return tokens


def _breakable(text: str) -> str:
    """Text that may be broken behind signs that join words, and within long ones."""
    tokens = _tokens(text)
    return "".join(
        " "
        if token.isspace()
        else escaped(token) + ("" if following.isspace() else r"\allowbreak{}")
        for token, following in zip(tokens, [*tokens[1:], " "], strict=True)
    )


def _row(cells: Sequence[str]) -> str:
    # After a line break TeX would take these as an argument.
    guard = "{}" if cells[0].startswith(("[", "*")) else ""
    return f"    {guard}{' & '.join(cells)} \\\\"
