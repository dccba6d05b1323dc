"""The answer of ``pick`` in a table, in plain words and as JSON. No torch."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from math import isfinite

from attnbench import formatting
from attnbench.analysis.pick import Candidate, Choice
from attnbench.formatting import joined
from attnbench.records import image_size
from attnbench.records.evaluation import PUBLISHED_SIZE

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
