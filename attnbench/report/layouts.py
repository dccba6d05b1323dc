"""Sheets set as Markdown and as LaTeX."""

from __future__ import annotations

from collections.abc import Sequence

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
    """A booktabs table; the caption ends with the setting."""
    caption = f"{sheet.caption}. {setting}.".translate(_LATEX)
    return "\n".join(
        [
            r"\begin{table}",
            rf"  \caption{{{caption}}}",
            rf"  \begin{{tabular}}{{l{'r' * (len(sheet.headings) - 1)}}}",
            r"    \toprule",
            _latex_row(sheet.headings),
            r"    \midrule",
            *map(_latex_row, sheet.rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _latex_row(cells: Sequence[str]) -> str:
    return "    " + " & ".join(text.replace("\n", " ").translate(_LATEX) for text in cells) + r" \\"
