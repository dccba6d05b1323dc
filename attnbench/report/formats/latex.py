"""Tables as LaTeX, which itself shrinks what is wider or taller than the page."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from math import ceil
from textwrap import wrap

from attnbench.formatting import IntervalText
from attnbench.report.tables.table import Table
from attnbench.text import printable

NOTES = (
    r"Needs \usepackage{booktabs,adjustbox,array}; compiles with pdflatex, xelatex and lualatex of "
    r"2020 or later.",
    "A character that the engine or its font lacks appears as its number, such as U+6CE8.",
)
"""What an author who includes the tables has to know."""

CHARACTER = r"""\providecommand{\attnbenchchar}[2]{\ifdefined\Umathchar
    \iffontchar\font`#1 #1\else\texttt{U+#2}\fi
  \else\ifcsname u8:\detokenize{#1}\endcsname#1\else\texttt{U+#2}\fi
  \fi\allowbreak}
"""
"""Sets a character beyond Latin where it is known, else its number; pdflatex has no Umathchar."""

MOST_LINES, MOST_COLUMNS = 40, 8
"""Of one table; what has more is split, and each part begins with the first column."""

LONGEST = 24
"""Characters of a cell that is not broken into lines."""

NARROWEST_HEADING = 10
"""Characters of a heading that is not broken into lines."""

LONGEST_WORD, PIECE = 14, 9
"""Characters of a word that fits a column of 11em, and of each piece of a longer one."""

_ESCAPES = str.maketrans(
    {
        **{char: f"\\{char}" for char in "{}&%$#_"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "`": r"\textasciigrave{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "±": r"$\pm$",
        "≥": r"$\geq$",
    }
)
_UNSURE = re.compile("[^\0-\N{LATIN SMALL LETTER LONG S}–…]")
"""Characters beyond the letters that every LaTeX knows."""


def escaped(text: str) -> str:
    """Return text that LaTeX shows as it is, on one line."""
    text = unicodedata.normalize("NFC", printable(text)).translate(_ESCAPES)
    # Twice the same, these would be set as another character.
    text = re.sub(r"([-,'])(?=\1)", r"\1{}", text)
    return _UNSURE.sub(lambda char: rf"\attnbenchchar{{{char[0]}}}{{{ord(char[0]):04X}}}", text)


def document(tables: Sequence[Table], setting: str, notes: Sequence[str]) -> str:
    """Return the file: notes as comments of one line each, then every table."""
    comments = [f"% {printable(note)}" for note in (*notes, *NOTES)]
    text = "\n".join(latex(table, setting) for table in tables)
    macro = [CHARACTER] if r"\attnbenchchar" in text else []
    return "\n".join([*comments, *macro, text])


def latex(table: Table, setting: str) -> str:
    """Return the table, in parts if it is large; captions end with the setting and what ± means."""
    doubted = any(isinstance(cell, IntervalText) for row in table.rows for cell in row)
    doubt = " ± is the distance to the farther end of the 95% interval." if doubted else ""
    parts = list(_parts(table))
    tables = []
    for number, part in enumerate(parts, start=1):
        place = f" ({number} of {len(parts)})" if len(parts) > 1 else ""
        tables.append(environment(part, escaped(f"{table.caption}{place}. {setting}.{doubt}")))
    return "\n".join(tables)


def _parts(table: Table) -> Iterator[Table]:
    """Yield the table in parts of few enough rows and columns, each with the first column."""
    others = len(table.headings) - 1
    width = ceil(others / ceil(others / (MOST_COLUMNS - 1)))
    longest = max((len(cell) for row in table.rows for cell in row), default=0)
    lines = ceil(longest / (2 * PIECE)) if longest > LONGEST else 1
    height = max(MOST_LINES // lines, 1)
    for top in range(0, max(len(table.rows), 1), height):
        for left in range(1, others + 1, width):
            headings, *rows = (
                (line[0], *line[left : left + width])
                for line in (table.headings, *table.rows[top : top + height])
            )
            yield Table(table.caption, headings, tuple(rows))


def environment(
    table: Table, caption: str, label: str = "", after_names: Sequence[str] = ()
) -> str:
    """Return the table as a float. ``caption``, ``label`` and ``after_names`` are LaTeX already.

    ``after_names`` follows the first cell of each row, such as a citation.
    """
    preamble = ""
    columns: list[list[str]] = []
    for heading, *cells in zip(table.headings, *table.rows, strict=True):
        shown = [cell.plus_minus if isinstance(cell, IntervalText) else cell for cell in cells]
        width = max((len(printable(cell)) for cell in shown), default=0)
        side = "r" if columns else "l"
        preamble += r">{\raggedright\arraybackslash}p{11em}" if width > LONGEST else side
        show = _breakable if width > LONGEST else escaped
        columns.append([_heading(heading, width, side), *map(show, shown)])
    if after_names:
        columns[0][1:] = map("".join, zip(columns[0][1:], after_names, strict=True))
    headings, *lines = map(_row, zip(*columns, strict=True))
    body = "\n".join([headings, r"    \midrule", *lines])
    target = rf"\label{{{label}}}" if label else ""
    return rf"""\begin{{table}}
  \caption{{{caption}}}{target}
  \begin{{adjustbox}}{{max width=\linewidth, max totalheight=0.8\textheight}}
  \begin{{tabular}}{{{preamble}}}
    \toprule
{body}
    \bottomrule
  \end{{tabular}}
  \end{{adjustbox}}
\end{{table}}
"""


def _heading(text: str, width: int, side: str) -> str:
    """Return a heading in lines that are not much longer than the cells below it."""
    text = text.removesuffix(" [95%]")
    lines = wrap(text, min(max(width, NARROWEST_HEADING), LONGEST), break_long_words=False)
    if len(lines) <= 1:
        return escaped(text)
    stacked = r"\\".join(map(escaped, lines))
    return rf"\begin{{tabular}}[b]{{@{{}}{side}@{{}}}}{stacked}\end{{tabular}}"


def _breakable(text: str) -> str:
    """Return text that may be broken after signs that join words, and within long words."""
    words = []
    for word in printable(text).split():
        pieces: list[str] = []
        for part in re.findall(r"[^/,:_.]+[/,:_.]?|[/,:_.]", word):
            longest = PIECE if len(part) > LONGEST_WORD else LONGEST_WORD
            pieces += wrap(part, longest, break_on_hyphens=False)
        words.append(r"\allowbreak{}".join(map(escaped, pieces)))
    return " ".join(words)


def _row(cells: Iterable[str]) -> str:
    line = " & ".join(cells)
    # After a line break TeX would take these as an argument.
    return f"    {'{}' if line.startswith(('[', '*')) else ''}{line} \\\\"
