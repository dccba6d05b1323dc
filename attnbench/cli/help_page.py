"""The page that ``--help`` prints: paragraphs as wide as the terminal, no type beside a flag."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand


class HelpPage(TyperCommand):
    """A command whose help is wrapped by the terminal, not where its docstring has line ends."""

    def __init__(self, *args: Any, help: str | None = None, **declared: Any) -> None:
        """Take what Typer declares of a command."""
        super().__init__(*args, help=_unwrapped(help), **declared)

    def get_params(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # Click's own class
        """Return the parameters; a flag, which takes no value, names none."""
        parameters = super().get_params(ctx)
        for parameter in parameters:
            if getattr(parameter, "is_flag", False):
                parameter.metavar = ""
        return parameters


def _unwrapped(text: str | None) -> str | None:
    """Return each paragraph in one line: Typer keeps the line ends of all but the first."""
    if text is None:
        return None
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))
