"""``attnbench explain``: what the code of a verdict means, and what to do."""

from __future__ import annotations

from typing import Annotated

import typer

from attnbench.cli import output
from attnbench.errors import UserError
from attnbench.stats.verdicts.explanations import REASONS
from attnbench.text import unknown


def explain(
    code: Annotated[
        str | None,
        typer.Argument(
            metavar="CODE", help="The code of a verdict, as tables print it.", show_default="all"
        ),
    ] = None,
) -> int:
    """Say what the code of a verdict means, and what to do about it."""
    if code is None:
        rows = [(name, reason.means, reason.advice) for name, reason in REASONS.items()]
        headings = ("code", "what it means", "what to do")
        output.console().print(output.table("Codes of verdicts", headings, rows, headings[1:]))
        return 0
    reason = REASONS.get(code.strip().lower())
    if reason is None:
        raise UserError(unknown("code", code, [*REASONS]))
    print(f"{code.strip().lower()}: {reason.means}\nWhat to do: {reason.advice}")
    return 0
