"""Published top-1 on ImageNet by training recipe. Nothing here is measured by us. No torch.

An accuracy belongs to the recipe that trained it: 100 epochs in one group's hands and 100 in
another's differ by more than the modules do. So figures are only ever taken from one source.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from attnbench.claims.claim import catalogue
from attnbench.errors import UserError
from attnbench.records import image_size
from attnbench.records.evaluation import PUBLISHED_SIZE
from attnbench.records.schema import Case
from attnbench.records.variants import PLAIN


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


def recipe(host: str, name: str | None = None, modules: Iterable[str] = ()) -> Recipe | None:
    """The recipe of that name, or the one with most of these modules; None where there is none.

    Of those with as many the one with most modules overall, then the catalogue's first.

    Raises:
        UserError: no recipe of that name in that host.
    """
    known = recipes(host)
    if name is None:
        asked = set(modules)
        return max(known, key=lambda each: len(asked & set(each.top1)), default=None)
    for each in known:
        if each.name.lower() == name.lower():
            return each
    listed = ", ".join(each.name for each in known) or "none"
    raise UserError(f"no recipe '{name}' with accuracies in {host}; known: {listed}")


def unlike_published(case: Case, variant: str) -> str | None:
    """How a network of a run differs from those of published accuracies; None where it does not.

    These carry the module in every block and saw square images of 224 pixels. A module with
    settings of its own needs no word here: under its own name nothing is published.
    """
    found = []
    if case.image_size != PUBLISHED_SIZE:
        found.append(f"of {image_size.written(case.image_size)}")
    if variant != PLAIN and not case.everywhere:
        found.append(f"in {case.placed}")
    return ", ".join(found) or None


def top1(known: Recipe | None, case: Case, variant: str) -> float | None:
    """What the recipe has for that very network, in percent; None where it has nothing."""
    if known is None or unlike_published(case, variant) is not None:
        return None
    return known.top1.get(variant)
