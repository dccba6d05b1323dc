"""What papers claim about overhead, held against what the code gives, exactly."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files

import torch

from .counting import RULES
from .hosts import build

INPUT_SHAPE = (1, 3, 224, 224)
"""The image that every published figure here was counted for."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One row of ``claims.toml``, where the fields are explained."""

    id: str
    source: str
    host: str
    attention: str
    metric: str
    rule: str
    printed: str
    unit: int
    exact: int
    verdict: str


@dataclass(frozen=True)
class Finding:
    """A claim and what was computed for it now."""

    claim: Claim
    computed: int

    @property
    def verdict(self) -> str:
        """Reproduced where the computed value rounds to the printed digits."""
        printed = Decimal(self.claim.printed)
        exponent = Decimal((0, (1,), int(printed.as_tuple().exponent)))
        rounded = (Decimal(self.computed) / self.claim.unit).quantize(exponent)
        return "reproduced" if rounded == printed else "contradicted"

    @property
    def holds(self) -> bool:
        """Whether value and verdict are still those that the catalogue states."""
        return self.computed == self.claim.exact and self.verdict == self.claim.verdict


def catalogue() -> list[Claim]:
    """Every claim, in the file's order."""
    text = files("attnbench").joinpath("claims.toml").read_text(encoding="utf-8")
    return [Claim(**row) for row in tomllib.loads(text)["claim"]]


def check(claims: Sequence[Claim]) -> list[Finding]:
    """Compute every claim's figure on the meta device."""
    return [Finding(claim, _added(claim)) for claim in claims]


def _added(claim: Claim) -> int:
    with torch.device("meta"):
        plain, with_module = build(claim.host), build(claim.host, claim.attention)
    return _figure(claim, with_module) - _figure(claim, plain)


def _figure(claim: Claim, network: torch.nn.Module) -> int:
    count = RULES[claim.rule].count(network, INPUT_SHAPE)
    figure = count.operations if count.params is None else count.params
    if figure is None:
        raise ValueError(f"rule {claim.rule} gives no figure")
    return figure
