"""Published figures of the networks of a run, checked against the counts in its records."""

from __future__ import annotations

from attnbench.claims.claim import Claim, Finding, catalogue
from attnbench.records.run import Run
from attnbench.records.variants import PLAIN
from attnbench.report.tables.table import Table

HEADINGS = ("claim", "source", "printed", "in these records", "verdict", "expected")
DEFINITIONS = (
    "Which figure of which network.",
    "Where it is printed.",
    "As it is printed, with its unit.",
    "The same figure by these records, and the rule of counting.",
    "Whether the two agree to the printed digits; explained: another rule gives it.",
    "The verdict that is known of this figure.",
)


def findings(run: Run) -> list[Finding]:
    """Return a finding for each published figure that the run's own counts can check."""
    return [finding for claim in _about(run) if (finding := _finding(run, claim)) is not None]


def table(run: Run) -> Table:
    """Return the same as a table."""
    rows = []
    for finding in findings(run):
        outcome = finding.outcome()
        rows.append(
            (
                outcome.subject,
                finding.claim.source,
                outcome.stated_text,
                f"{outcome.computed_text} ({outcome.rule})",
                outcome.verdict,
                outcome.expected,
            )
        )
    return Table("Published figures of these networks", HEADINGS, tuple(rows), DEFINITIONS)


def unchecked(run: Run) -> int:
    """Return how many published figures, mostly accuracies, these counts cannot check."""
    return len(_about(run)) - len(findings(run))


def _about(run: Run) -> list[Claim]:
    networks = {PLAIN, *run.networks} if run.case.everywhere else {PLAIN}
    return [
        claim
        for claim in catalogue()
        if claim.host == run.case.host and (claim.attention or PLAIN) in networks
    ]


def _finding(run: Run, claim: Claim) -> Finding | None:
    computed = _figure(run, claim, claim.rule)
    if computed is None:
        return None
    explanation = _figure(run, claim, claim.explained_by)
    if claim.explained_by and explanation is None:
        return None  # these records cannot tell an explained figure from a contradicted one
    return Finding(claim, computed, explanation)


def _figure(run: Run, claim: Claim, rule: str | None) -> int | None:
    """Return the claim's figure by that rule, from the records; None where they lack it."""
    params = claim.metric.endswith("params")
    if rule is None or (not params and run.case.image_size != claim.image_size):
        return None

    def of(variant: str) -> int | None:
        count = run.counts.get(variant, {}).get(rule)
        return None if count is None else count.params if params else count.operations

    figure, plain = of(claim.attention or PLAIN), of(PLAIN)
    if not claim.metric.startswith("added "):
        return figure
    return None if figure is None or plain is None else figure - plain
