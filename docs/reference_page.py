"""The generated parts of ``docs/reference.md``: commands with their options, columns, rules."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

from typer.models import ArgumentInfo, OptionInfo

from attnbench.claims.limits.file import METRICS
from attnbench.cli.app import app
from attnbench.report.formats.glossary import GLOSSARY
from attnbench.report.tables.table import Column

VALUE_NAMES: dict[type, str] = {int: "N", float: "NUMBER", Path: "PATH", str: "TEXT"}
"""What a value is called where the command line does not name it, by its type."""


def commands() -> str:
    """Return every command, its description and a table of its arguments and options."""
    return "\n\n".join(
        _command(command.name or "", command.callback)
        for command in app.registered_commands
        if command.callback is not None and not command.hidden
    )


def columns(described: Sequence[Column]) -> str:
    """Return a table of columns: name, unit, heading where it is printed, meaning."""
    return _table(
        ("column", "unit", "printed as", "meaning"),
        ((f"`{row.key}`", row.unit, row.heading, row.meaning) for row in described),
    )


def rules() -> str:
    """Return a table of the rules of counting: name, definition, source."""
    from attnbench.counting import EXTRA_RULES, RULES

    return _table(
        ("rule", "what it counts", "who counts so"),
        (
            (f"`{rule.name}`", rule.definition, rule.source)
            for rule in (RULES | EXTRA_RULES).values()
        ),
    )


def metrics() -> str:
    """Return a table of what a file of limits can hold: metric, rule of counting, quantity."""
    return _table(
        ("metric", "rule", "quantity"),
        ((f"`{name}`", f"`{rule}`", f"`{quantity}`") for name, (rule, quantity) in METRICS.items()),
    )


def words() -> str:
    """Return a table of the words that tables, plots and messages use."""
    return _table(("word", "meaning"), iter(GLOSSARY.items()))


def _table(headings: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    ruler = "|".join([":--"] * len(headings))
    lines = (f"| {' | '.join(row)} |" for row in (headings, *rows))
    heading, *body = lines
    return "\n".join([heading, f"|{ruler}|", *body])


def _command(name: str, function: Callable[..., Any]) -> str:
    description = inspect.getdoc(function) or ""
    signature = inspect.signature(function, eval_str=True)
    rows = [row for item in signature.parameters.values() if (row := _parameter(item))]
    usage = " ".join(["attnbench", name, *_positional(signature)])
    table = _table(("option", "default", "meaning"), iter(rows))
    return f"### {usage}\n\n{description}\n\n{table}"


def _positional(signature: inspect.Signature) -> Iterator[str]:
    for parameter in signature.parameters.values():
        _, info = _declared(parameter)
        if isinstance(info, ArgumentInfo):
            yield _argument(parameter, info)


def _argument(parameter: inspect.Parameter, info: ArgumentInfo) -> str:
    """Return the name of an argument; of several, followed by dots."""
    kinds = get_args(parameter.annotation)[0]
    is_several = any(get_origin(kind) is list for kind in (kinds, *get_args(kinds)))
    return (info.metavar or parameter.name.upper()) + ("..." if is_several else "")


def _parameter(parameter: inspect.Parameter) -> tuple[str, str, str] | None:
    """Return the cells of one option or argument; None where the help hides it."""
    kind, info = _declared(parameter)
    if info.hidden:
        return None
    names = ", ".join(_flags(parameter, info))
    value = info.metavar or _value(kind)
    if isinstance(info, ArgumentInfo):
        shown = _argument(parameter, info)
    else:
        shown = names if kind is bool else f"{names} {value}"
    return (
        f"`{_in_a_cell(shown)}`",
        _in_a_cell(_default(parameter, info)),
        _in_a_cell(info.help or ""),
    )


def _flags(parameter: inspect.Parameter, info: OptionInfo | ArgumentInfo) -> list[str]:
    """Return how an option is written; in ``Annotated`` typer has the first as its default."""
    stated = [info.default, *(info.param_decls or ())]
    flags = [flag for flag in stated if isinstance(flag, str) and flag.startswith("--")]
    return flags or [f"--{parameter.name.rstrip('_').replace('_', '-')}"]


def _declared(parameter: inspect.Parameter) -> tuple[Any, OptionInfo | ArgumentInfo]:
    """Return a parameter's type, without None and ``list``, and what typer was told of it."""
    kind, info = get_args(parameter.annotation)[:2]
    while get_origin(kind) in (UnionType, list):
        kind = get_args(kind)[0]
    return kind, info


def _value(kind: type) -> str:
    if issubclass(kind, Enum):
        return "|".join(member.value for member in kind)
    return VALUE_NAMES.get(kind, "")


def _default(parameter: inspect.Parameter, info: OptionInfo | ArgumentInfo) -> str:
    if isinstance(info.show_default, str):
        return info.show_default
    if parameter.default is inspect.Parameter.empty:
        return "required"
    if isinstance(parameter.default, Enum):
        return str(parameter.default.value)
    return "" if parameter.default in (None, False) else str(parameter.default)


def _in_a_cell(text: str) -> str:
    return text.replace("|", "\\|")
