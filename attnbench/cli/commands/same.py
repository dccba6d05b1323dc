"""``attnbench same``: whether two modules compute the same on equal weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from attnbench.cli import output
from attnbench.cli.options import ImportRoot, Timeout, choice, formats, imported_from, option
from attnbench.errors import UserError
from attnbench.plugins.resolve import parse
from attnbench.system import worker

FORMATS = ("text", "json")


def same(  # noqa: PLR0913, PLR0917  an option each
    one: Annotated[str, typer.Argument(metavar="A", help="A module, as --module of run.")],
    other: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    import_root: ImportRoot = None,
    channels: Annotated[int, option("N", "Channels of the map.", min=1)] = 256,
    map_: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="A=B",
            help="A tensor of the first and its counterpart. May be repeated.",
        ),
    ] = None,
    format_: Annotated[str, formats(FORMATS)] = "text",
    timeout: Timeout = None,
) -> int:
    """Compare two modules on equal weights, in float64: outputs, parameters, operators.

    Exit status 1 where they differ or cannot be compared. Both modules' code is run.
    """
    as_json = choice(format_, "--format", FORMATS) == "json"
    mapped = _mapped(map_ or ())
    one, other = imported_from((one, other), import_root) or (one, other)
    references = (parse(one), parse(other))

    from attnbench.equivalence.same import SAME, Comparison, compare  # and torch

    with worker.time_limit(timeout):
        found: Comparison = worker.call(compare, references, channels, mapped)
    if as_json:
        print(output.json_text(found))
        return 0 if found.same else 1
    first, second = found.names
    rows = [("parameters", *(f"{params:,}" for params in found.params))]
    rows += [(name, str(mine), str(its)) for name, (mine, its) in found.operators.items()]
    caption = f"{channels} channels; parameters, and operators of which one runs more"
    output.console().print(output.table(caption, ("what", first, second), rows))
    pairs = [f"{mine} = {its}" for mine, its in found.pairs if mine != its]
    if pairs:
        output.console().print(f"Made equal: {', '.join(pairs)}.")
    if found.difference is None:
        output.complain(f"they cannot be compared ({found.code}): {found.reason}")
        return 1
    verdict = "the same" if found.same else "NOT the same"
    output.console().print(
        f"Largest relative difference in float64: {found.difference:.2g}: {verdict} "
        f"(rounding explains {SAME:g}; code {found.code})."
    )
    return 0 if found.same else 1


def _mapped(stated: Sequence[str]) -> dict[str, str]:
    pairs = [_pair(text) for text in stated]
    for names in zip(*pairs, strict=True):
        for name in names:
            if names.count(name) > 1:
                raise UserError(f"--map: {name} has two counterparts; a tensor has one")
    return dict(pairs)


def _pair(text: str) -> tuple[str, str]:
    mine, equals, its = text.partition("=")
    if not (mine.strip() and equals and its.strip()):
        raise UserError(f"--map: '{text}' is not of the form fc.0.weight=conv1.weight")
    return mine.strip(), its.strip()
