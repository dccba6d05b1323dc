"""Published top-1 on ImageNet by training recipe. Nothing here is measured by us. No torch.

An accuracy belongs to the recipe that trained it: 100 epochs in one group's hands and 100 in
another's differ by more than the modules do. So figures are only ever taken from one source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .claims import catalogue
from .errors import UserError
from .records import PLAIN


@dataclass(frozen=True)
class Recipe:
    """One source's top-1 in percent, of the plain host and of modules in it."""

    source: str
    training: str
    """What the source says of the training; empty where it says nothing."""
    top1: Mapping[str, float]

    @property
    def name(self) -> str:
        """``PytorchInsight``: the source's repository."""
        return self.source.split(" ", maxsplit=1)[0].rpartition("/")[2]

    @property
    def described(self) -> str:
        """The source, and what it says of the training."""
        return f"{self.source}; {self.training}" if self.training else self.source


def recipes(host: str) -> tuple[Recipe, ...]:
    """Every source of top-1 in that host, the one with most modules first."""
    by_source: dict[str, dict[str, float]] = {}
    training: dict[str, str] = {}
    for claim in catalogue():
        if claim.metric == "top1" and claim.host == host:
            top1 = by_source.setdefault(claim.source, {})
            top1[claim.attention or PLAIN] = float(claim.printed)
            training[claim.source] = claim.note
    found = (Recipe(source, training[source], top1) for source, top1 in by_source.items())
    return tuple(sorted(found, key=lambda recipe: -len(recipe.top1)))


def recipe(host: str, name: str | None = None) -> Recipe | None:
    """The recipe of that name, or the one with most modules; None where the host has none.

    Raises:
        UserError: no recipe of that name in that host.
    """
    known = recipes(host)
    if name is None:
        return known[0] if known else None
    for each in known:
        if each.name.lower() == name.lower():
            return each
    listed = ", ".join(each.name for each in known) or "none"
    raise UserError(f"no recipe '{name}' with accuracies in {host}; known: {listed}")
