"""``attnbench pick``: which modules are within limits, in a table, in plain words and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from attnbench import analysis, formatting
from attnbench.analysis.pick import Candidate, Choice, Limits
from attnbench.cli import output
from attnbench.cli.options import BetweenRuns, formats, option, share
from attnbench.formatting import joined
from attnbench.records import image_size
from attnbench.records.evaluation import PUBLISHED_SIZE

ChoiceFormat = StrEnum("ChoiceFormat", ["TEXT", "JSON"])
HEADINGS = (
    *("module", "answer", "code", "published top-1 (%)", "latency over plain [95%]"),
    *("added parameters", "activation memory over plain", "why"),
)
GAIN = "measured gain (points) [95%]"
"""A further column, behind the code of the answer, where gains were measured."""


def cells(candidate: Candidate) -> tuple[str, ...]:
    """Return a row under HEADINGS."""
    memory = candidate.memory_ratio
    return (
        candidate.module,
        candidate.answer,
        candidate.code,
        formatting.hundredths(candidate.top1),
        formatting.overhead(candidate.ratio),
        formatting.whole(candidate.added_params, signed=True),
        formatting.NOTHING if memory is None else f"{memory - 1:+.1%}",
        "; ".join(candidate.reasons),
    )


PRECISION = "evaluated box AP (%)"
"""Another, where detectors with given weights were evaluated."""


def with_gains(choice: Choice) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return headings and rows, with columns of what was measured of accuracy."""
    further: dict[str, list[str]] = {}
    if choice.trained is not None:
        further[GAIN] = [
            formatting.points(None if candidate.gain is None else candidate.gain.gain)
            for candidate in choice.candidates
        ]
    if any(candidate.box_ap is not None for candidate in choice.candidates):
        further[PRECISION] = [
            formatting.NOTHING if candidate.box_ap is None else f"{100 * candidate.box_ap:.1f}"
            for candidate in choice.candidates
        ]
    rows = [cells(candidate) for candidate in choice.candidates]
    place = HEADINGS.index("code") + 1
    texts = [*zip(*further.values(), strict=True)] or [()] * len(rows)
    return (
        (*HEADINGS[:place], *further, *HEADINGS[place:]),
        [(*row[:place], *text, *row[place:]) for row, text in zip(rows, texts, strict=True)],
    )


def sentences(choice: Choice) -> Iterator[str]:
    """Yield the answer in plain words, and what it rests on."""
    certain = _listed(choice.of("in"))
    yield (
        f"Within the limits: {certain}." if certain else "No module is certainly within the limits."
    )
    undecided: dict[str, list[Candidate]] = {}
    for candidate in choice.of("cannot tell"):
        undecided.setdefault("; ".join(candidate.reasons), []).append(candidate)
    for why, alike in undecided.items():
        yield f"Cannot tell for {_listed(alike)}: {why.removesuffix('.')}."
    if any(candidate.interval_holds_limit for candidate in choice.candidates):
        yield (
            "More runs in the folder make an interval narrower, and so do more rounds (run "
            "--budget)."
        )
    yield _order(choice)
    yield (
        f"From {formatting.counted(choice.runs, 'run')} of {choice.configuration}. Intervals "
        "cover the variation of rounds and between runs, whose standard deviation is assumed to be "
        f"{formatting.percent(choice.between_runs)} until several runs show it."
    )
    for remark in choice.remarks:
        yield f"Remark: {remark}."
    yield "attnbench explain CODE says what a code means, and what to do."


def _order(choice: Choice) -> str:
    if choice.trained is not None:
        return _order_by_gain(choice)
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
            text += f" Not ranked, as that recipe has none for them: {_listed(without)}."
        return text
    return f"{reason}; the order is that of latency."


def _order_by_gain(choice: Choice) -> str:
    text = f"Gains were measured: {choice.trained}. The greatest stands first."
    trained = [candidate for candidate in choice.candidates if candidate.gain is not None]
    for verdict in ("helps", "harms", "no significant difference"):
        alike = [known for known in trained if known.gain and known.gain.verdict == verdict]
        text += f" {verdict.capitalize()}: {_listed(alike)}." if alike else ""
    without = [candidate for candidate in choice.candidates if candidate.gain is None]
    return f"{text} Not trained: {_listed(without)}." if without else text


def _listed(candidates: Iterable[Candidate]) -> str:
    return joined(candidate.module for candidate in candidates)


def pick(  # noqa: PLR0913, PLR0917  an option each
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of one or more runs.")],
    max_overhead: Annotated[
        float | None, option("SHARE", "Most latency over plain, such as 10%.", parser=share)
    ] = None,
    max_added_params: Annotated[
        int | None, option("N", "Most learnable parameters added.", min=0)
    ] = None,
    max_memory: Annotated[
        float | None,
        option("SHARE", "Most activation memory over plain, such as 5%.", parser=share),
    ] = None,
    recipe: Annotated[
        str | None,
        option(
            "NAME",
            "Whose published top-1 gives the order.",
            "the one with most of the run's modules",
        ),
    ] = None,
    on: Annotated[
        str | None,
        option(
            "LABEL",
            "The machine, by words of its GPU or CPU such as H100, where the folder holds runs of "
            "several.",
        ),
    ] = None,
    between_runs: BetweenRuns = None,
    format_: Annotated[ChoiceFormat, formats([*ChoiceFormat])] = ChoiceFormat.TEXT,
) -> int:
    """Show which modules are within limits, the most accurate first, and why the others are not.

    Exit status 1 where none is certainly within them.
    """
    limits = Limits(overhead=max_overhead, added_params=max_added_params, memory=max_memory)
    choice = analysis.pick(folder, limits, recipe, between_runs, on)
    if format_ is ChoiceFormat.JSON:
        print(output.json_text(choice))
    else:
        console = output.console()
        headings, rows = with_gains(choice)
        caption = f"Modules and the limits: {choice.configuration}"
        console.print(output.table(caption, headings, rows, words=("answer", "code", "why")))
        for sentence in sentences(choice):
            console.print(sentence)
    return 0 if choice.of("in") else 1
