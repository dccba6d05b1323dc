"""``attnbench pick``: which modules are within limits, in a table, in plain words and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from enum import StrEnum
from math import isfinite
from pathlib import Path
from typing import Annotated

import typer

from attnbench import formatting
from attnbench.analysis.pick import Candidate, Choice, Limits
from attnbench.analysis.pick import pick as picked
from attnbench.cli import options, output
from attnbench.cli.options import BetweenRuns
from attnbench.formatting import joined
from attnbench.records import image_size
from attnbench.records.evaluation import PUBLISHED_SIZE


class ChoiceFormat(StrEnum):
    """Of a choice."""

    TEXT = "text"
    JSON = "json"


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
    """A row under HEADINGS."""
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
    """The answer in plain words, and what it rests on."""
    surely, perhaps = choice.of("in"), choice.of("cannot say")
    said = [
        f"Within the limits: {_listed(surely)}."
        if surely
        else "Nothing is surely within the limits."
    ]
    for reasons, alike in _by_reasons(perhaps).items():
        why = "; ".join(reasons)
        said.append(f"The records do not allow an answer for {_listed(alike)}: {_sentence(why)}")
    if any(each.interval_holds_limit for each in perhaps):
        said.append(
            "An interval that is too wide becomes narrower with more runs in the folder, and with "
            "more rounds (--budget)."
        )
    return [*said, _order(choice), _rests_on(choice)]


def _by_reasons(candidates: Iterable[Candidate]) -> dict[tuple[str, ...], list[Candidate]]:
    """Those that have the same reasons together."""
    found: dict[tuple[str, ...], list[Candidate]] = {}
    for each in candidates:
        found.setdefault(each.reasons, []).append(each)
    return found


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def _order(choice: Choice) -> str:
    if choice.recipe is None:
        return "No top-1 is published for this host; the order is that of latency."
    if choice.unlike_published is not None:
        usual = image_size.written(PUBLISHED_SIZE)
        return (
            f"Top-1 is published for {usual} with the module in all blocks; this run is "
            f"{choice.unlike_published}, so none is shown. The order is that of latency."
        )
    missing = [each for each in choice.candidates if each.top1 is None]
    if len(missing) == len(choice.candidates):
        return (
            f"{choice.recipe.name} has no top-1 of these modules in this host; the order is that "
            "of latency."
        )
    said = (
        f"Top-1 is published, not measured here: {choice.recipe.described}. The most accurate "
        "stands first."
    )
    if choice.plain_top1 is not None:
        said += f" The plain host has {formatting.hundredths(choice.plain_top1)} there."
    if missing:
        said += f" That recipe has none for {_listed(missing)}: their place says nothing."
    return said


def _rests_on(choice: Choice) -> str:
    count = f"{choice.runs} run{'' if choice.runs == 1 else 's'}"
    return (
        f"From {count} of {choice.configuration}. Intervals allow for rounds and for other hours, "
        f"between which runs are taken to scatter by {formatting.percent(choice.between_runs)} "
        "until several show it."
    )


def _listed(candidates: Iterable[Candidate]) -> str:
    return joined(each.module for each in candidates)


def as_json(choice: Choice) -> str:
    """All of it as one object; an infinite end is null."""
    data = asdict(choice)
    for candidate in data["candidates"]:
        if candidate["ratio"]:
            candidate["ratio"] = {
                key: value if isfinite(value) else None for key, value in candidate["ratio"].items()
            }
    return json.dumps(data, indent=2, allow_nan=False)


def pick(  # noqa: PLR0913, PLR0917  an option each
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, or of several.")],
    max_overhead: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Most latency over the plain host: 10%.")
    ] = None,
    max_added_params: Annotated[
        int | None, typer.Option(metavar="N", help="Most learnable parameters added.", min=0)
    ] = None,
    max_memory: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Most live peak over the plain host: 5%.")
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
    """Which modules are within limits, the most accurate first, and why the others are not.

    Exit status 1 where none surely is.
    """
    limits = Limits(
        overhead=None if max_overhead is None else options.share(max_overhead),
        added_params=max_added_params,
        memory=None if max_memory is None else options.share(max_memory),
    )
    scatter = options.share(between_runs) if between_runs else None
    choice = picked(folder, limits, recipe, scatter)
    if format_ is ChoiceFormat.JSON:
        print(as_json(choice))
    else:
        console = output.console()
        rows = map(cells, choice.candidates)
        caption = f"Held against the limits: {choice.configuration}"
        words = ("answer", "why")
        console.print(output.table(caption, HEADINGS, rows, words))
        for sentence in sentences(choice):
            console.print(sentence, markup=False)
    return 0 if choice.of("in") else 1
