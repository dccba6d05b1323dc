"""What a module gains over the plain host at equal training, paired by seed, with its doubt.

A figure is the mean of a training's last epochs. A gain is the difference to the plain host of the
same seed; its interval is Student's, of the differences of all seeds: it covers what other seeds
would give, on the same images. What other test images would give is a second doubt, stated beside.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf, sqrt
from statistics import NormalDist, fmean, stdev
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from attnbench.records.trainings.schema import Trainings
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.stats import student
from attnbench.stats.interval import CONFIDENCE, Interval
from attnbench.stats.verdicts import reasons

Verdict = Literal["helps", "harms", "no significant difference", "none"]

SETTLED = 0.005
"""Half-width of an interval, as a share of the test images, that is called settled: half a
percentage point, below the 0.7 to 1.5 that papers report for modules in ResNet-50."""

MOST_SEEDS = 100_000
LARGE = 1000
"""From so many seeds on, Student's t is the normal distribution to 0.1%."""


def paired(differences: Sequence[float], images: int | None) -> Interval:
    """Return the mean of differences of two figures with Student's 95% interval.

    A share of ``images`` is a whole number of them. Where all seeds agree by chance, that number
    alone leaves each difference unknown by the deviation of two roundings, sqrt(1/6) of an image:
    their standard deviation is taken to be at least that. For figures that count no images, None,
    there is no such bound, and no interval where all seeds agree: networks that find nothing all
    have a precision of 0. One difference has no interval either.

    Raises:
        ValueError: no differences.
    """
    mean = fmean(differences)
    deviation = _deviation(differences, images)
    if deviation is None:
        return Interval(mean, -inf, inf)
    reach = student.quantile(len(differences) - 1) * deviation / sqrt(len(differences))
    return Interval(mean, mean - reach, mean + reach)


def _deviation(differences: Sequence[float], images: int | None) -> float | None:
    """Return the deviation that is known of the differences; None where none is."""
    if len(differences) < 2:  # noqa: PLR2004  a deviation needs two
        return None
    deviation = stdev(differences)
    if images is not None:
        return max(deviation, sqrt(1 / 6) / images)
    return deviation or None


def seeds_to_settle(
    differences: Sequence[float], images: int | None, half_width: float
) -> int | None:
    """Return how many seeds would make the interval that narrow, at the scatter of these.

    None where there is no scatter yet, as of a single seed; ``images`` as of :func:`paired`.
    """
    deviation = _deviation(differences, images)
    if deviation is None:
        return None
    known = deviation

    def settled(seeds: int) -> bool:
        return student.quantile(seeds - 1) * known / sqrt(seeds) <= half_width

    if settled(LARGE):
        return bisect_left(range(LARGE), True, lo=2, key=settled)
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    return min(MOST_SEEDS, int((z * known / half_width) ** 2) + 1)


@dataclass(frozen=True, kw_only=True)
class Gain:
    """A variant beside the plain host. Shares of the test images, from 0 to 1."""

    variant: str
    seeds: int
    """How many have both trained to the end."""
    mean: float
    """The variant's own figure, mean of these seeds."""
    gain: Interval
    sampling: float | None
    """How far the gain may be off because the test has no more images than it has (95%)."""
    verdict: Verdict
    code: str
    """Of the verdict, or why there is none, as of ``attnbench explain``."""
    to_settle: int | None
    best: float
    """Mean of the best epochs, each chosen on the images that it is given for."""
    best_gain: float


FURTHER = {"box_ap": "mask_ap"}
"""The metric of trainings -> another one whose gains are told too, where every epoch has it."""


COUNTED = ("top1", "top5")
"""Metrics that are shares of the test images."""


class Gains:
    """All gains of a file of trainings, by its metric."""

    def __init__(self, trainings: Trainings) -> None:
        self.trainings = trainings
        self.images = trainings.training.data.test_images
        counted = trainings.training.metric in COUNTED
        self._of = self.images if counted else None

    def pairs(self, variant: str) -> list[int]:
        """Return the seeds with which both the variant and the plain host are done."""
        figure = self.trainings.figure
        return [
            seed
            for seed in self.trainings.seeds
            if figure(variant, seed) is not None and figure(PLAIN, seed) is not None
        ]

    def differences(self, variant: str) -> list[float]:
        """Return the variant's figure less the plain host's, of each seed."""
        return [
            (self.trainings.figure(variant, seed) or 0.0)
            - (self.trainings.figure(PLAIN, seed) or 0.0)
            for seed in self.pairs(variant)
        ]

    @property
    def plain(self) -> list[float]:
        """The plain host's figure of each seed that is done."""
        figures = (self.trainings.figure(PLAIN, seed) for seed in self.trainings.seeds)
        return [figure for figure in figures if figure is not None]

    @cached_property
    def control_fault(self) -> str | None:
        """Why there are no verdicts; None where plain against its control contains 0."""
        differences = self.differences(CONTROL)
        if len(differences) < 2:  # noqa: PLR2004  an interval needs two
            return "two seeds at least have to be done, with plain host and control"
        if _excludes_zero(paired(differences, self._of)):
            return "the plain host with other seeds is significantly different from itself"
        return None

    @cached_property
    def gains(self) -> list[Gain]:
        """The gain of each variant that is done with a seed at least: the control's first."""
        return [
            self._gain(variant)
            for variant in self.trainings.training.variants
            if variant != PLAIN and self.pairs(variant)
        ]

    def gain(self, variant: str) -> Gain | None:
        """Return the gain of one variant, if there is one."""
        return next((gain for gain in self.gains if gain.variant == variant), None)

    def _gain(self, variant: str) -> Gain:
        differences, seeds = self.differences(variant), self.pairs(variant)
        interval = paired(differences, self._of)
        best = fmean(self.trainings.best(variant, seed) or 0.0 for seed in seeds)
        plain_best = fmean(self.trainings.best(PLAIN, seed) or 0.0 for seed in seeds)
        return Gain(
            variant=variant,
            seeds=len(seeds),
            mean=fmean(self.trainings.figure(variant, seed) or 0.0 for seed in seeds),
            gain=interval,
            sampling=self._sampling(variant, seeds),
            verdict=self._verdict(variant, interval),
            code=self._code(interval),
            to_settle=seeds_to_settle(differences, self._of, SETTLED),
            best=best,
            best_gain=best - plain_best,
        )

    def _verdict(self, variant: str, interval: Interval) -> Verdict:
        if variant == CONTROL or self.control_fault is not None or interval.low == -inf:
            return "none"
        if not _excludes_zero(interval):
            return "no significant difference"
        return "helps" if interval.low > 0 else "harms"

    def _code(self, interval: Interval) -> str:
        if len(self.differences(CONTROL)) < 2 or interval.low == -inf:  # noqa: PLR2004
            return reasons.FEW_SEEDS
        if self.control_fault is not None:
            return reasons.SEEDS_DIFFER
        if not _excludes_zero(interval):
            return reasons.NO_GAIN
        return reasons.HELPS if interval.low > 0 else reasons.HARMS

    def _sampling(self, variant: str, seeds: Sequence[int]) -> float | None:
        """Return the 95% reach of the mean over images, from each image's own mean difference."""
        every = [(self._right(variant, seed), self._right(PLAIN, seed)) for seed in seeds]
        if self.images < 2 or any(mine is None or plain is None for mine, plain in every):  # noqa: PLR2004
            return None
        by_image = np.mean([mine - plain for mine, plain in every], axis=0)  # type: ignore[operator]
        z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
        return z * float(np.std(by_image, ddof=1)) / sqrt(self.images)

    def _right(self, variant: str, seed: int) -> NDArray[np.float64] | None:
        """Return in what share of the last epochs each test image was right."""
        last = self.trainings.epochs[variant, seed][-self.trainings.training.last :]
        if any(epoch.answers is None for epoch in last):
            return None
        bits = [
            np.unpackbits(np.frombuffer(bytes.fromhex(epoch.answers or ""), dtype=np.uint8))
            for epoch in last
        ]
        whole: NDArray[np.float64] = np.mean(bits, axis=0)[: self.images]
        return whole


def each_metric(trainings: Trainings) -> list[Gains]:
    """Return the gains by a file's metric, then those by the further one that it has."""
    further = FURTHER.get(trainings.training.metric)
    epochs = [epoch for known in trainings.epochs.values() for epoch in known]
    if further is None or not epochs or any(further not in epoch.figures for epoch in epochs):
        return [Gains(trainings)]
    return [Gains(trainings), Gains(trainings.by(further))]


def _excludes_zero(interval: Interval) -> bool:
    return interval.low > 0 or interval.high < 0
