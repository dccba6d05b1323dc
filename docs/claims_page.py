"""``docs/claims.md``: every published figure, its verdict and what a reader may now believe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_UP, Decimal
from itertools import groupby

import accuracies_section
import times_section

from attnbench.claims.claim import Claim, Finding, catalogue, off_by
from attnbench.records.run import Run

OPENING = """\
# What the published figures are worth

Generated from `attnbench/claims/claims.toml` by `make docs`; `attnbench check` computes every
figure again and fails where a verdict has changed. The rules of counting are defined in
[reference.md](reference.md#rules-of-counting).

A figure is computed under the rule of counting that its source used, and compared with the digits
that the source prints, in the source's unit:

- **reproduced**: rounded to the printed digits, it equals the printed figure;
- **explained**: it does not, but the figure of another rule, which is named, does;
- **contradicted**: no rule known here gives the printed figure; the computed one is stated;
- **needs data**: an accuracy, which no count can confirm or refute;
- **needs a V100**: a time or memory of the machine that the source names.
"""

BELIEF = """\
What a reader should take from this. Three figures come from no rule that we know: SA adds 708
parameters to ResNet-50, not 300, SE makes a detector's ResNet-101 one of 168.1 GFLOPs, not 168.3,
and ECA's ResNet-152 has 57.40 Mi parameters, not 57.41. The others are right, once one knows what
was counted, but they cannot be compared between sources: the same plain ResNet-50 is 4.089, 4.11 or
4.122 GFLOPs, and ECA's, which is larger, 3.86, because its giga is 2^30. And added GFLOPs say
little about cost: by the rule of the SGE and SA papers a gate, a group norm, a concatenation and a
shuffle all count nothing.
"""


def page(findings: Sequence[Finding], run: Run) -> str:
    """Return the whole page; the published run gives our ratio beside published times."""
    others = [claim for claim in catalogue() if claim.rule is None]
    parts = [
        OPENING,
        _summary(findings, others),
        BELIEF,
        "## Figures that are not simply reproduced\n",
    ]
    parts += [_story(finding) for finding in findings if finding.verdict != "reproduced"]
    parts += [accuracies_section.copies(others)]
    parts += ["## Every figure, by source\n"]
    for source, group in groupby(findings, key=lambda finding: finding.claim.source):
        parts.append(f"### {source}\n\n{_table(group)}")
    parts += [accuracies_section.text(), times_section.text(run), accuracies_section.tables(others)]
    return "\n".join(parts)


def _summary(findings: Sequence[Finding], others: Sequence[Claim]) -> str:
    tally = Counter(finding.verdict for finding in findings)
    counted = ", ".join(f"{number} {verdict}" for verdict, number in tally.most_common())
    of_others = Counter(claim.verdict for claim in others)
    return (
        f"Of {len(findings)} figures {counted}. {of_others['needs data']} accuracies need data, "
        f"{of_others['needs a V100']} times and\nsizes of memory a V100, and "
        f"{of_others['contradicted']} accuracies are contradicted: of networks that cannot have "
        "them.\n"
    )


def _story(finding: Finding) -> str:
    claim = finding.claim
    at = f", at {claim.size}" if claim.size else ""
    lines = [
        f"### {_subject(claim)}: printed {claim.printed}, {finding.verdict}",
        "",
        f"{claim.source}{at}. By the rule `{claim.rule}` it is {_both(claim, finding.computed)}.",
    ]
    if finding.verdict == "explained" and finding.explanation is not None:
        lines.append(f"By `{claim.explained_by}` it is {_both(claim, finding.explanation)}.")
    else:
        lines.append(f"That is {off_by(claim, finding.computed)}.")
    return "\n".join([*lines, f"{_sentence(claim.note)}", ""])


def _table(findings: Iterable[Finding]) -> str:
    lines = [
        "| what | setting | printed | computed | exactly | rule | verdict |",
        "|:--|:--|--:|--:|--:|:--|:--|",
    ]
    for finding in findings:
        claim = finding.claim
        lines.append(
            f"| {_subject(claim)} | {_setting(claim)} | {claim.printed} "
            f"| {_rounded(claim, finding.computed)} | {finding.computed:,} | `{claim.rule}` "
            f"| {finding.verdict} |"
        )
    return "\n".join([*lines, ""])


def _subject(claim: Claim) -> str:
    network = claim.host if claim.attention is None else f"{claim.attention} in {claim.host}"
    return f"{network}, {claim.metric.replace('flops', 'FLOPs').replace('gF', 'GF')}".replace(
        "params", "parameters"
    )


def _setting(claim: Claim) -> str:
    return ", ".join(filter(None, (claim.options, claim.size)))


def _both(claim: Claim, figure: int) -> str:
    rounded = _rounded(claim, figure)
    return rounded if claim.unit == 1 else f"{rounded} ({figure:,} / {claim.unit:,})"


def _rounded(claim: Claim, figure: int) -> str:
    digits = int(Decimal(claim.printed).as_tuple().exponent)
    if claim.unit == 1:
        return f"{figure:,}"
    value = (Decimal(figure) / claim.unit).quantize(Decimal((0, (1,), digits)), ROUND_HALF_UP)
    return f"{value:E}".replace("E", "e").replace("e+0", "") if "e" in claim.printed else str(value)


def _sentence(note: str) -> str:
    start = note[:1] if note.startswith("fvcore") else note[:1].upper()
    return f"{start}{note[1:]}." if note else ""
