"""``attnbench pick``: which modules are within limits, in a table, in plain words and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from attnbench import analysis, formatting
from attnbench.analysis.pick import Candidate, Choice, Limits
from attnbench.cli import options, output
from attnbench.cli.options import BetweenRuns
from attnbench.formatting import joined
from attnbench.records import image_size
from attnbench.records.evaluation import PUBLISHED_SIZE

ChoiceFormat = StrEnum("ChoiceFormat", ["TEXT", "JSON"])
HEADINGS = (
    "module",
    "answer",
    "published top-1 (%)",
    "latency over plain [95%]",
    "added parameters",
    "live peak over plain",
    "why",
)


def cells(candidate: Candidate) -> tuple[str, ...]:
    """Return a row under HEADINGS."""
    memory = candidate.memory_ratio
    return (
        candidate.module,
        candidate.answer,
        formatting.hundredths(candidate.top1),
        formatting.overhead(candidate.ratio),
        formatting.whole(candidate.added_params, signed=True),
        formatting.NOTHING if memory is None else f"{memory - 1:+.1%}",
        "; ".join(candidate.reasons),
    )


def sentences(choice: Choice) -> list[str]:
    """Return the answer in plain words, and what it rests on."""
    certain, undecided = choice.of("in"), choice.of("cannot say")
    answer = (
        f"Within the limits: {_listed(certain)}."
        if certain
        else "No module is certainly within the limits."
    )
    advice = (
        "An interval that is too wide becomes narrower with more runs in the folder, and with "
        "more rounds (--budget)."
    )
    return [
        answer,
        *(
            f"The records do not allow an answer for {_listed(alike)}: {why.removesuffix('.')}."
            for why, alike in _by_reasons(undecided).items()
        ),
        *([advice] if any(candidate.interval_holds_limit for candidate in undecided) else []),
        _order(choice),
        _basis(choice),
    ]


def _by_reasons(candidates: Iterable[Candidate]) -> dict[str, list[Candidate]]:
    """Group the candidates that have the same reasons."""
    groups: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        groups.setdefault("; ".join(candidate.reasons), []).append(candidate)
    return groups


def _order(choice: Choice) -> str:
    without = [candidate for candidate in choice.candidates if candidate.top1 is None]
    if choice.recipe is None:
        reason = "No top-1 is published for this host"
    elif choice.unlike_published is not None:
        reason = (
            f"Top-1 is published for {image_size.written(PUBLISHED_SIZE)} with the module in all "
            f"blocks; this run is {choice.unlike_published}, so none is shown"
        )
    elif len(without) == len(choice.candidates):
        reason = f"{choice.recipe.name} has no top-1 of these modules in this host"
    else:
        text = f"Top-1 is published, not measured here: {choice.recipe.described}. "
        text += "The most accurate stands first."
        if choice.plain_top1 is not None:
            text += f" The plain host has {formatting.hundredths(choice.plain_top1)} there."
        if without:
            text += f" That recipe has none for {_listed(without)}: their place says nothing."
        return text
    return f"{reason}; the order is that of latency."


def _basis(choice: Choice) -> str:
    count = f"{choice.runs} run{'' if choice.runs == 1 else 's'}"
    return (
        f"From {count} of {choice.configuration}. Intervals cover the variation of rounds and "
        "between runs, whose standard deviation is assumed to be "
        f"{formatting.percent(choice.between_runs)} until several runs show it."
    )


def _listed(candidates: Iterable[Candidate]) -> str:
    return joined(candidate.module for candidate in candidates)


def as_json(choice: Choice) -> str:
    """Return all of it as one object; an infinite end is null."""
    return output.json_text(asdict(choice))


def pick(  # noqa: PLR0913, PLR0917  an option each
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of one or more runs.")],
    max_overhead: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Most latency over plain, such as 10%.")
    ] = None,
    max_added_params: Annotated[
        int | None, typer.Option(metavar="N", help="Most learnable parameters added.", min=0)
    ] = None,
    max_memory: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Most live peak over plain, such as 5%.")
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Whose published top-1 gives the order.",
            show_default="the one with most of the run's modules",
        ),
    ] = None,
    between_runs: BetweenRuns = None,
    format_: Annotated[ChoiceFormat, typer.Option("--format")] = ChoiceFormat.TEXT,
) -> int:
    """Show which modules are within limits, the most accurate first, and why the others are not.

    Exit status 1 where none is certainly within them.
    """
    limits = Limits(
        overhead=None if max_overhead is None else options.share(max_overhead),
        added_params=max_added_params,
        memory=None if max_memory is None else options.share(max_memory),
    )
    scatter = options.share(between_runs) if between_runs else None
    choice = analysis.pick(folder, limits, recipe, scatter)
    if format_ is ChoiceFormat.JSON:
        print(as_json(choice))
    else:
        console, rows = output.console(), map(cells, choice.candidates)
        caption = f"Modules and the limits: {choice.configuration}"
        console.print(output.table(caption, HEADINGS, rows, words=("answer", "why")))
        for sentence in sentences(choice):
            console.print(sentence, markup=False)
    return 0 if choice.of("in") else 1
