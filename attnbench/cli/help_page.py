"""The page that ``--help`` prints: paragraphs as wide as the terminal, words for what is taken."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


class HelpPage(TyperCommand):
    """A command whose help is wrapped by the terminal, not where its docstring has line ends."""

    def __init__(self, *args: Any, help: str | None = None, **declared: Any) -> None:
        """Take what Typer declares of a command."""
        super().__init__(*args, help=_unwrapped(help), **declared)

    def get_params(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # Click's own class
        """Return the parameters, of which none names a Python type."""
        return _without_types(super().get_params(ctx))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the parts of the usage line; an argument that must be stands without braces."""
        return [re.sub(r"\{(.+?)\}", r"\1", part) for part in super().collect_usage_pieces(ctx)]


class HelpOfAll(TyperGroup):
    """The commands, whose help names no Python type either."""

    def get_params(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # Click's own class
        """Return the parameters, of which none names a Python type."""
        return _without_types(super().get_params(ctx))


def _without_types(parameters: Any) -> Any:
    """Return the parameters: a flag takes no value, and an argument's name says what it is.

    Defaults in words stand as they are; Typer sets them in brackets of their own.
    """
    for parameter in parameters:
        if parameter.param_type_name == "argument":
            parameter.display_type_rich = lambda **_: ""
        elif getattr(parameter, "is_flag", False):
            parameter.metavar = ""
        if isinstance(words := parameter.show_default, str):
            parameter._get_default_string = partial(_as_stated, words)
    return parameters


def _as_stated(words: str, **_: object) -> str:
    """Return the default in words, whatever Typer says of it beside."""
    return words


def _unwrapped(text: str | None) -> str | None:
    """Return each paragraph in one line: Typer keeps the line ends of all but the first."""
    if text is None:
        return None
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))
