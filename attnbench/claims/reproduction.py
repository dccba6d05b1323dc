"""Compare accuracies measured here with those published of the same networks. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import get_args

from attnbench.claims.claim import Claim, catalogue, rounds_to
from attnbench.records.evaluation import (
    IMAGENET_CLASSES,
    IMAGENET_IMAGES,
    PUBLISHED_SIZE,
    Evaluation,
    Metric,
)
from attnbench.stats.interval import percent_right
from attnbench.stats.verdicts import reasons

FOR_ORIENTATION = "for orientation only"


@dataclass(frozen=True)
class Reproduction:
    """One metric of an evaluation, and one source's figure for it, if there is any."""

    evaluation: Evaluation
    metric: Metric
    claim: Claim | None

    @property
    def code(self) -> str:
        """The verdict's code, or why there is none."""
        if self.claim is None:
            return reasons.UNPUBLISHED
        if unlike_published(self.evaluation) is not None:
            return reasons.ORIENTATION
        if rounds_to(self.claim, self._measured):
            return reasons.REPRODUCED
        interval = percent_right(self.evaluation, self.metric)
        within = interval.low <= Decimal(self.claim.printed) <= interval.high
        return reasons.AGREES if within else reasons.DIFFERS

    @property
    def verdict(self) -> str | None:
        """The difference of the measured figure from the printed one; None if none is printed."""
        if self.claim is None:
            return None
        if self.code == reasons.ORIENTATION:
            return FOR_ORIENTATION
        if self.code == reasons.REPRODUCED:
            return "reproduced"
        above = self._measured - Decimal(self.claim.printed)
        side = "higher" if above > 0 else "lower"
        within = "within" if self.code == reasons.AGREES else "beyond"
        return f"{side} by {abs(above):.3f}, {within}"

    @property
    def _measured(self) -> Decimal:
        """The measured accuracy in percent, exactly."""
        return Decimal(100 * self.evaluation.right(self.metric)) / self.evaluation.images


def reproductions(evaluations: Iterable[Evaluation]) -> Iterator[Reproduction]:
    """Yield every metric of each evaluation with every source that prints it.

    A figure of images of another size than 224x224 stands beside evaluations of that size only.
    """
    for evaluation in evaluations:
        sizes = (PUBLISHED_SIZE, evaluation.preprocessing.crop)
        for metric in get_args(Metric):
            network = (evaluation.host, evaluation.module, metric)
            printed = [
                claim
                for claim in catalogue()
                if (claim.host, claim.attention, claim.metric) == network
                and claim.image_size in sizes
                and not claim.superseded
            ]
            for claim in printed or (None,):
                yield Reproduction(evaluation, metric, claim)


def unlike_published(evaluation: Evaluation) -> str | None:
    """Return how the evaluation differs from those of published accuracies; None if it does not."""
    if (evaluation.classes, evaluation.images) != (IMAGENET_CLASSES, IMAGENET_IMAGES):
        return (
            f"{evaluation.images:,} images and {evaluation.classes:,} classes are not "
            f"ImageNet's validation set of {IMAGENET_IMAGES:,} and {IMAGENET_CLASSES:,}"
        )
    if evaluation.preprocessing.crop != PUBLISHED_SIZE:
        crop, usual = evaluation.preprocessing.crop, PUBLISHED_SIZE
        return f"a crop of {crop}x{crop} is not the published {usual}x{usual}"
    return None
