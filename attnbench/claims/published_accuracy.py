"""Published top-1 on ImageNet by training recipe. Nothing here is measured by us. No torch.

An accuracy depends on the training recipe: two groups' results for the same network differ by more
than the modules do. So figures that are compared are taken from one source.
"""

from __future__ import annotations

from collections.abc import Iterable
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
    """The source's description of the training; may be empty."""
    top1: dict[str, float]
    kind: str | None = None
    """The source's name of the training, where it has several: ``a1``."""

    @property
    def name(self) -> str:
        """``PytorchInsight``: the source's repository, with the training where it has several."""
        repository = self.source.split(" ", maxsplit=1)[0].rpartition("/")[2]
        return f"{repository} {self.kind}" if self.kind else repository

    @property
    def described(self) -> str:
        """The source and its description of the training."""
        source = f"{self.source}, {self.kind}" if self.kind else self.source
        return f"{source}; {self.training}" if self.training else source


def recipes(host: str) -> tuple[Recipe, ...]:
    """Return every source of top-1 in that host, the one with most modules first.

    Of images of 224x224, and not of figures that their sources have since replaced.
    """
    by_training: dict[tuple[str, str | None], Recipe] = {}
    for claim in catalogue():
        current = claim.image_size == PUBLISHED_SIZE and not claim.superseded
        if claim.metric == "top1" and claim.host == host and current:
            known = by_training.setdefault(
                (claim.source, claim.training),
                Recipe(claim.source, claim.note, {}, claim.training),
            )
            known.top1[claim.attention or PLAIN] = float(claim.printed)
    return tuple(sorted(by_training.values(), key=lambda recipe: -len(recipe.top1)))


def recipe(host: str, name: str | None = None, modules: Iterable[str] = ()) -> Recipe | None:
    """Return the recipe of that name, or the one with most of these modules; None if none exists.

    Among equals the one with most modules overall is chosen, then the catalogue's first.

    Raises:
        UserError: no recipe of that name in that host.
    """
    known = recipes(host)
    if name is None:
        wanted = set(modules)
        return max(known, key=lambda recipe: len(wanted & set(recipe.top1)), default=None)
    for candidate in known:
        if candidate.name.lower() == name.lower():
            return candidate
    listed = ", ".join(candidate.name for candidate in known) or "none"
    raise UserError(f"no recipe '{name}' with accuracies in {host}; known: {listed}")


def unlike_published(case: Case, variant: str) -> str | None:
    """Return how a run's network differs from those of published accuracies; None if it does not.

    These have the module in every block and images of 224x224. A module with other settings is
    another variant, for whose name nothing is published.
    """
    differences = []
    if case.image_size != PUBLISHED_SIZE:
        differences.append(f"of {image_size.written(case.image_size)}")
    if variant != PLAIN and not case.everywhere:
        differences.append(f"in {case.placed}")
    return ", ".join(differences) or None


def top1(known: Recipe | None, case: Case, variant: str) -> float | None:
    """Return the recipe's top-1 of that network, in percent; None if it has none."""
    if known is None or unlike_published(case, variant) is not None:
        return None
    return known.top1.get(variant)
