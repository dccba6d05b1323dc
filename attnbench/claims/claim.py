"""Published figures and computed ones, compared to the last printed digit."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Literal

from attnbench.claims.outcome import Outcome
from attnbench.claims.published import tables
from attnbench.errors import UserError
from attnbench.records import image_size
from attnbench.records.image_size import Size

IMAGE_SIZE: Size = 224
"""The size of image of a published figure whose row states none."""

UNITS = {1: "", 10**6: " M", 10**9: " G", 2**20: " Mi", 2**30: " Gi"}
"""Size of a printed unit -> its symbol."""

MEASURED = {
    "images/s": "images a second",
    "s/iteration": "seconds an iteration",
    "GB": "gigabytes",
}
"""Metrics of one machine -> what is measured. All other metrics without a rule are percentages."""

Verdict = Literal["reproduced", "explained", "contradicted", "needs data", "needs a V100"]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One row of ``claims.toml``, where the fields are explained, or a figure of a table.

    Tables (``claims/published``) add ``training``, where one source prints a network under several;
    ``superseded``, where a later version of the source prints another figure or none; and
    ``copy_of``, the claim whose figure this one repeats for a network that cannot have it.
    """

    id: str
    source: str
    host: str
    attention: str | None = None
    options: str | None = None
    size: str | None = None
    metric: str
    printed: str
    unit: int = 1
    rule: str | None = None
    verdict: Verdict
    explained_by: str | None = None
    true: int | None = None
    note: str = ""
    training: str | None = None
    superseded: bool = False
    copy_of: str | None = None

    @property
    def subject(self) -> str:
        """Network and metric: ``sa in resnet50: added params``."""
        network = self.host if self.attention is None else f"{self.attention} in {self.host}"
        at = "" if self.size is None else f" at {self.size}"
        return f"{network}: {self.metric}{at}"

    @property
    def cited(self) -> str:
        """The source, with the training where it has several: ``... results csv, a1``."""
        return f"{self.source}, {self.training}" if self.training else self.source

    @property
    def printed_with_unit(self) -> str:
        """The figure as the source prints it, with its unit: ``24.37 Mi``."""
        return f"{self.printed}{UNITS[self.unit]}"

    @property
    def unit_name(self) -> str:
        """What is counted or measured: parameters, operations, percent, ..."""
        if self.rule is None:
            return MEASURED.get(self.metric, "percent")
        return "parameters" if self.metric.endswith("params") else "operations"

    @property
    def image_size(self) -> Size:
        """The size of image that it was counted for."""
        return IMAGE_SIZE if self.size is None else image_size.parse(self.size)


@dataclass(frozen=True)
class Finding:
    """A claim, and the figures of its rule and of the rule that may explain it."""

    claim: Claim
    computed: int
    explanation: int | None = None
    seconds: float = field(default=0.0, kw_only=True, compare=False)
    """What counting took; next to nothing where a figure of the same network was counted before."""

    @property
    def verdict(self) -> Verdict:
        """How the printed figure compares with these."""
        if rounds_to(self.claim, self.computed):
            return "reproduced"
        if self.explanation is not None and rounds_to(self.claim, self.explanation):
            return "explained"
        return "contradicted"

    @property
    def holds(self) -> bool:
        """Whether verdict, and true figure of a contradiction, are as the claim states."""
        return self.claim.true in (None, self.computed) and self.verdict == self.claim.verdict

    def outcome(self) -> Outcome:
        """Return the finding as a line of a check."""
        claim, figure = self.claim, f"{self.computed:,}"
        if self.verdict == "explained":
            figure += f"; {self.explanation:,} by {claim.explained_by}"
        expected = claim.verdict if claim.true is None else f"{claim.verdict}, {claim.true:,}"
        stated = Decimal(claim.printed) * claim.unit
        return Outcome(
            kind="claim",
            name=claim.id,
            subject=claim.subject,
            stated=int(stated) if stated == int(stated) else float(stated),
            computed=self.computed,
            unit=claim.unit_name,
            stated_text=claim.printed_with_unit,
            computed_text=figure,
            rule=claim.rule or "",
            verdict=self.verdict,
            code=self.verdict,
            expected=expected,
            holds=self.holds,
            seconds=self.seconds,
        )


def rounds_to(claim: Claim, figure: int | Decimal) -> bool:
    """Return whether a figure, rounded to the printed digits, is the printed one."""
    printed = Decimal(claim.printed)
    last_digit = Decimal((0, (1,), int(printed.as_tuple().exponent)))
    return (Decimal(figure) / claim.unit).quantize(last_digit, ROUND_HALF_UP) == printed


def off_by(claim: Claim, figure: int) -> str:
    """Return the ratio to the printed figure: ``2.36 times what is printed``."""
    return f"{Decimal(figure) / claim.unit / Decimal(claim.printed):.3g} times what is printed"


@cache
def catalogue() -> tuple[Claim, ...]:
    """Read every claim, in the order of the files: ``claims.toml``, then the tables."""
    text = files("attnbench.claims").joinpath("claims.toml").read_text(encoding="utf-8")
    return tuple(Claim(**row) for row in (*tomllib.loads(text)["claim"], *tables.rows()))


def select(pattern: str | None) -> list[Claim]:
    """Return the claims that can be checked and whose id matches a pattern such as ``sa-*``.

    Raises:
        UserError: no claim matches.
    """
    matching = [
        claim
        for claim in catalogue()
        if (claim.rule or claim.copy_of) and fnmatchcase(claim.id, pattern or "*")
    ]
    if not matching:
        raise UserError(f"no computable claim matches '{pattern}'; ids: sa-*, eca-*, sk-*, ...")
    return matching
