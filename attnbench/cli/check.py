"""``attnbench check``: published figures, or limits of one's own, held against the code."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from xml.etree import ElementTree

import typer

from attnbench.claims.outcome import Outcome
from attnbench.cli import output
from attnbench.errors import UserError


class Format(StrEnum):
    """Of a check: for people, for programs, for test reports, for GitHub's checks."""

    TEXT = "text"
    JSON = "json"
    JUNIT = "junit"
    GITHUB = "github"


HEADINGS = ("name", "what", "stated", "computed", "rule", "verdict", "as expected")


def cells(outcome: Outcome) -> tuple[str, ...]:
    """A line of a table under HEADINGS."""
    return (
        outcome.name,
        outcome.subject,
        outcome.stated,
        outcome.computed,
        outcome.rule,
        outcome.verdict,
        "yes" if outcome.holds else f"NO: {outcome.expected}",
    )


def as_json(outcomes: Sequence[Outcome]) -> str:
    """A list of objects, one a line of the check."""
    return json.dumps([asdict(outcome) for outcome in outcomes], indent=2)


def as_junit(outcomes: Sequence[Outcome]) -> str:
    """A test suite in which every line of the check is a test case."""
    failures = [outcome for outcome in outcomes if not outcome.holds]
    suite = ElementTree.Element(
        "testsuite", name="attnbench check", tests=str(len(outcomes)), failures=str(len(failures))
    )
    for outcome in outcomes:
        case = ElementTree.SubElement(
            suite, "testcase", classname=outcome.subject, name=outcome.name
        )
        if not outcome.holds:
            ElementTree.SubElement(case, "failure", message=outcome.fault)
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


def as_github(outcomes: Sequence[Outcome]) -> str:
    """An annotation for every line that does not hold; the table goes to the step's summary."""
    annotations = [
        output.annotation(outcome.name, outcome.fault) for outcome in outcomes if not outcome.holds
    ]
    return output.said(annotations, _count(outcomes), as_markdown(outcomes))


def as_markdown(outcomes: Sequence[Outcome]) -> str:
    """A table, what does not hold first."""
    ordered = sorted(outcomes, key=lambda outcome: outcome.holds)
    table = output.markdown_table(HEADINGS, map(cells, ordered))
    return f"**attnbench check**: {_count(outcomes)}\n\n{table}\n"


FORMATS: dict[str, Callable[[Sequence[Outcome]], str]] = {
    "json": as_json,
    "junit": as_junit,
    "github": as_github,
}


def _count(outcomes: Sequence[Outcome]) -> str:
    wrong = sum(not outcome.holds for outcome in outcomes)
    return f"{len(outcomes) - wrong} of {len(outcomes)} as expected"


def check(
    only: Annotated[
        str | None, typer.Option(metavar="GLOB", help="Claims whose id matches, such as 'sa-*'.")
    ] = None,
    budget: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Hold these limits, not the claims.")
    ] = None,
    format_: Annotated[Format, typer.Option("--format")] = Format.TEXT,
) -> int:
    """Hold published figures against the code; exit status 1 where a verdict has changed."""
    from attnbench.claims import check as recomputed
    from attnbench.claims import claim, limits

    if budget is not None:
        if only is not None:
            raise UserError("--only selects claims; it does not go with --budget")
        found = limits.check(limits.read(budget))
    else:
        found = [finding.outcome() for finding in recomputed.check(claim.select(only))]
    if format_ is Format.TEXT:
        words = ("what", "rule", "verdict", "as expected")
        rows = map(cells, found)
        caption = "Published figures, computed" if budget is None else f"Limits of {budget}"
        table = output.table(caption, HEADINGS, rows, words)
        output.console().print(table)
    else:
        print(FORMATS[format_](found))
    wrong = [outcome for outcome in found if not outcome.holds]
    for outcome in wrong:
        output.complain(outcome.fault)
    return 1 if wrong else 0
