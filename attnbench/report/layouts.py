"""Sheets set as Markdown and as LaTeX."""

from __future__ import annotations

from collections.abc import Sequence

from attnbench.units import Doubted

from .sheets import Sheet

_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "{": r"\{",
        "}": r"\}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "–": "--",
        "±": r"$\pm$",
        "|": r"\textbar{}",
    }
)
_MARKDOWN = str.maketrans({"|": r"\|", "<": "&lt;", ">": "&gt;", "\n": " "})


MOST_AT_FULL_SIZE = 5
"""Columns that a page of print is wide enough for."""


def escaped(text: str) -> str:
    """Text that Markdown shows as it is."""
    return text.translate(_MARKDOWN)


def markdown(sheet: Sheet) -> str:
    """A pipe table under its caption; all columns but the first to the right."""
    ruler = [":--", *["--:"] * (len(sheet.headings) - 1)]
    lines = [sheet.headings, ruler, *sheet.rows]
    body = ("| " + " | ".join(map(escaped, line)) + " |" for line in lines)
    return "\n".join([f"**{sheet.caption}**", "", *body, ""])


def latex(sheet: Sheet, setting: str) -> str:
    """A booktabs table; the caption ends with the setting, and says what ± is where it is used."""
    doubted = any(isinstance(cell, Doubted) for row in sheet.rows for cell in row)
    doubt = " ± is the distance to the farther end of the 95% interval." if doubted else ""
    caption = f"{sheet.caption}. {setting}.{doubt}".translate(_LATEX)
    return "\n".join(
        [
            r"\begin{table}",
            rf"  \caption{{{caption}}}",
            *([r"  \small"] if len(sheet.headings) > MOST_AT_FULL_SIZE else []),
            rf"  \begin{{tabular}}{{l{'r' * (len(sheet.headings) - 1)}}}",
            r"    \toprule",
            _latex_row([heading.removesuffix(" [95%]") for heading in sheet.headings]),
            r"    \midrule",
            *map(_latex_row, sheet.rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _latex_row(cells: Sequence[str]) -> str:
    guard = (
        "{}" if cells[0].startswith(("[", "*")) else ""
    )  # after a line break TeX would take it as an argument
    return f"    {guard}" + " & ".join(map(_latex_cell, cells)) + r" \\"


def _latex_cell(text: str) -> str:
    """A figure with its doubt as papers print it; anything else as it is."""
    shown = text.plus_minus if isinstance(text, Doubted) else text.replace("\n", " ")
    return shown.translate(_LATEX)
