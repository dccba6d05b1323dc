"""``attnbench check``: published figures, or custom limits, checked against the code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import typer

from attnbench.claims.outcome import Outcome
from attnbench.cli import output
from attnbench.cli.options import Timeout, option
from attnbench.errors import UserError
from attnbench.system import worker
from attnbench.text import visible

Format = StrEnum("Format", ["TEXT", "JSON", "JUNIT", "GITHUB"])
HEADINGS = ("name", "what", "stated", "computed", "rule", "verdict", "as expected")


def cells(outcome: Outcome) -> tuple[str, ...]:
    """Return a row under HEADINGS."""
    figures = (outcome.stated, outcome.computed, outcome.rule, outcome.verdict)
    expected = "yes" if outcome.holds else f"NO: {outcome.expected}"
    return (outcome.name, outcome.subject, *figures, expected)


def as_junit(outcomes: Sequence[Outcome]) -> str:
    """Return a test suite with a test case per outcome."""
    failures = str(sum(not outcome.holds for outcome in outcomes))
    suite = Element(
        "testsuite", name="attnbench check", tests=str(len(outcomes)), failures=failures
    )
    for outcome in outcomes:
        names = {"classname": visible(outcome.subject), "name": visible(outcome.name)}
        case = SubElement(suite, "testcase", names)
        if not outcome.holds:
            SubElement(case, "failure", message=visible(outcome.fault))
    indent(suite)
    return tostring(suite, encoding="unicode", xml_declaration=True)


def as_github(outcomes: Sequence[Outcome]) -> str:
    """Return an annotation per outcome that does not hold; in the table they stand first."""
    failures = [(outcome.name, outcome.fault) for outcome in outcomes if not outcome.holds]
    headline = f"{len(outcomes) - len(failures)} of {len(outcomes)} as expected"
    ordered = sorted(outcomes, key=lambda outcome: outcome.holds)
    table = output.markdown_table(HEADINGS, map(cells, ordered))
    return output.github_text(failures, headline, f"**attnbench check**: {headline}\n\n{table}\n")


FORMATS: dict[str, Callable[[Sequence[Outcome]], str]] = {
    "json": output.json_text,
    "junit": as_junit,
    "github": as_github,
}


def check(
    only: Annotated[
        str | None, option("GLOB", "Check the claims whose id matches, such as 'sa-*'.")
    ] = None,
    limits: Annotated[
        Path | None, option("FILE", "Check these limits instead of the claims.")
    ] = None,
    budget: Annotated[Path | None, typer.Option(hidden=True)] = None,
    format_: Annotated[Format, typer.Option("--format")] = Format.TEXT,
    timeout: Timeout = None,
) -> int:
    """Check published figures, or your own limits, against the code.

    Exit status 1 where a verdict has changed or a limit is exceeded.
    """
    from attnbench.claims import check as claims_check
    from attnbench.claims import claim
    from attnbench.claims import limits as limits_file

    if limits and budget:
        raise UserError("--budget is the former name of --limits; give one of them")
    path = limits or budget  # the former name still works
    if path and only is not None:
        raise UserError("--only selects claims; it does not go with --limits")
    if path:
        with worker.time_limit(timeout):
            caption, outcomes = f"Limits of {path}", limits_file.check(limits_file.read(path))
    else:
        caption = "Published figures, computed"
        outcomes = [finding.outcome() for finding in claims_check.check(claim.select(only))]
    if format_ is Format.TEXT:
        words = ("what", "rule", "verdict", "as expected")
        output.console().print(output.table(caption, HEADINGS, map(cells, outcomes), words))
    else:
        print(FORMATS[format_](outcomes))
    faults = [outcome.fault for outcome in outcomes if not outcome.holds]
    output.complain(*faults)
    return 1 if faults else 0
