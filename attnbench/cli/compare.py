"""``attnbench compare``: how each module's overhead changed between runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from enum import StrEnum
from math import isfinite
from pathlib import Path
from typing import Annotated

import typer

from attnbench import formatting
from attnbench.analysis.compare import Change, Comparison
from attnbench.analysis.compare import compare as compared
from attnbench.cli import options, output
from attnbench.cli.options import BetweenRuns


class ChangeFormat(StrEnum):
    """Of a comparison."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


HEADINGS = (
    "module",
    "old ratio",
    "new ratio",
    "change [95%]",
    "of it between runs",
    "verdict",
    "but",
)


def tables(found: Comparison) -> Iterable[tuple[str, list[tuple[str, ...]]]]:
    """A caption and rows under HEADINGS for each configuration."""
    for configuration in dict.fromkeys(change.configuration for change in found.changes):
        changes = [each for each in found.changes if each.configuration == configuration]
        old, new = (max(each.runs[side] for each in changes) for side in (0, 1))
        yield (
            f"Change of the ratio to the plain host: {configuration}; old runs: {old}, new runs: "
            f"{new}; taken to scatter by {formatting.percent(found.between_runs)} until they show "
            "it",
            list(map(cells, changes)),
        )


def cells(change: Change) -> tuple[str, ...]:
    """A row under HEADINGS."""
    return (
        change.module,
        formatting.ratio(change.old),
        formatting.ratio(change.new),
        formatting.ratio(change.change),
        formatting.NOTHING if change.between is None else f"±{formatting.percent(change.between)}",
        change.verdict,
        "; ".join(change.caveats),
    )


def as_json(found: Comparison) -> str:
    """The limit, and a list of objects, one a change; an infinite end is null."""
    data = {
        "limit": found.limit,
        "between_runs": found.between_runs,
        "changes": [asdict(change) for change in found.changes],
    }
    for change in data["changes"]:  # type: ignore[attr-defined]
        for interval in filter(None, (change[key] for key in ("old", "new", "change"))):
            interval |= {key: value if isfinite(value) else None for key, value in interval.items()}
    return json.dumps(data, indent=2, allow_nan=False)


def as_github(found: Comparison) -> str:
    """An annotation for every slowdown that fails; the tables go to the step's summary."""
    notes = [output.annotation(each.module, each.fault) for each in found.changes if each.fails]
    headline = (
        f"{len(notes)} of {len(found.changes)} slower by more than "
        f"{formatting.percent(found.limit)}; {found.unjudged} without a verdict"
    )
    printed = "\n\n".join(
        f"**{caption}**\n\n{output.markdown_table(HEADINGS, rows)}\n"
        for caption, rows in tables(found)
    )
    return output.said(notes, headline, printed)


FORMATS: dict[str, Callable[[Comparison], str]] = {"json": as_json, "github": as_github}


def compare(  # noqa: PLR0913, PLR0917  an option each
    old: Annotated[Path, typer.Argument(metavar="OLD", help="A run's folder, or that of several.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The same of later runs.")],
    fail_above: Annotated[
        str, typer.Option(metavar="SHARE", help="Slowdown that ends in status 1, such as 3%.")
    ] = "3%",
    force: Annotated[
        bool, typer.Option("--force", help="Compare other machines or settings all the same.")
    ] = False,
    between_runs: BetweenRuns = None,
    require_verdicts: Annotated[
        bool,
        typer.Option("--require-verdicts", help="Status 1 too where a module has no verdict."),
    ] = False,
    format_: Annotated[ChangeFormat, typer.Option("--format")] = ChangeFormat.TEXT,
) -> int:
    """How each module's overhead changed between runs, with its interval.

    Several runs of one configuration in a folder are taken together.
    Exit status 1 where a slowdown beyond --fail-above is significant.
    """
    found = compared(
        old,
        new,
        options.share(fail_above),
        force=force,
        between_runs=options.share(between_runs) if between_runs else None,
    )
    if format_ is ChangeFormat.TEXT:
        console = output.console()
        for caption, rows in tables(found):
            words = ("verdict", "but")
            console.print(output.table(caption, HEADINGS, rows, words))
    else:
        print(FORMATS[format_.value](found))
    failed = [each for each in found.changes if each.fails]
    for each in failed:
        output.complain(each.fault)
    if found.unjudged:
        output.complain(f"{found.unjudged} of {len(found.changes)} modules have no verdict")
    return 1 if failed or (require_verdicts and found.unjudged) else 0
