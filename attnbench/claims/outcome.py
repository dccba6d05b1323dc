"""The lines of a check, and the forms in which people and machines read them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from xml.etree import ElementTree

from attnbench import github


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Something stated, what was computed for it, and whether that is as expected."""

    name: str
    subject: str
    stated: str
    computed: str
    rule: str
    verdict: str
    expected: str
    holds: bool

    @property
    def fault(self) -> str:
        """One sentence for a line that does not hold."""
        return (
            f"{self.subject}: stated {self.stated}, computed {self.computed} ({self.rule}): "
            f"{self.verdict}, where {self.expected} is expected"
        )


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
        github.annotation(outcome.name, outcome.fault) for outcome in outcomes if not outcome.holds
    ]
    return github.said(annotations, _count(outcomes), as_markdown(outcomes))


def as_markdown(outcomes: Sequence[Outcome]) -> str:
    """A table, what does not hold first."""
    ordered = sorted(outcomes, key=lambda outcome: outcome.holds)
    table = github.markdown_table(HEADINGS, map(cells, ordered))
    return f"**attnbench check**: {_count(outcomes)}\n\n{table}\n"


FORMATS: dict[str, Callable[[Sequence[Outcome]], str]] = {
    "json": as_json,
    "junit": as_junit,
    "github": as_github,
}


def _count(outcomes: Sequence[Outcome]) -> str:
    wrong = sum(not outcome.holds for outcome in outcomes)
    return f"{len(outcomes) - wrong} of {len(outcomes)} as expected"
