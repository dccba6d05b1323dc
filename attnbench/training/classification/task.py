"""Classification as the engine's task."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from attnbench.hosts.build import build
from attnbench.hosts.conditions import Conditions
from attnbench.hosts.placement.choice import Choice
from attnbench.plugins.host_reference import is_custom
from attnbench.records.trainings.recipe import Recipe
from attnbench.records.trainings.schema import WIDER, TrainingData
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.training.classification.images import Images, Transforms
from attnbench.training.classification.wider import build_wider
from attnbench.training.task import Scores

FIVE = 5


@dataclass(frozen=True)
class Classification:
    """Images of one class each; cross-entropy; how often the first, or one of five, is right."""

    images: Images
    recipe: Recipe
    size: int
    host: str
    where: Choice
    width: int | None = None
    """Channels in the stem of the wider plain host, where there is one."""

    name = "classification"
    metric = "top1"

    @property
    def data(self) -> TrainingData:
        """What is trained and tested on."""
        return self.images.data

    @cached_property
    def _transforms(self) -> Transforms:
        return Transforms.of(self.images, self.recipe, self.size)

    def network(self, variant: str) -> nn.Module:
        """Build the host for the classes of the data, with the module of that name in it."""
        classes = self.data.classes
        if variant == WIDER:
            assert self.width is not None
            return build_wider(self.host, self.width, classes)
        module = None if variant in {PLAIN, CONTROL} else variant
        with redirect_stdout(sys.stderr):  # stdout is for results, not for a module's own prints
            return build(
                self.host,
                module,
                **vars(self.where),
                size=(self.size, self.size),
                classes=None if is_custom(self.host) else classes,
            )

    def trial(self) -> tuple[Tensor, Tensor]:
        """Return two images of noise, of the first two classes."""
        return torch.randn(2, 3, self.size, self.size), torch.tensor([0, 1])

    def begin_training(self, network: nn.Module) -> None:
        """Set training mode."""
        network.train()

    def training_sample(self, index: int) -> tuple[Tensor, int]:
        """Return an augmented image and its class."""
        image, label = self.images.training(index)
        return self._transforms.training(image), label

    def test_sample(self, index: int) -> tuple[Tensor, int]:
        """Return a test image and its class."""
        image, label = self.images.test(index)
        return self._transforms.test(image), label

    def collate(self, samples: list[Any]) -> tuple[Tensor, Tensor]:
        """Return images (batch, 3, size, size) and classes (batch)."""
        images, labels = zip(*samples, strict=True)
        return torch.stack(images), torch.tensor(labels)

    def loss(self, network: nn.Module, batch: Any, place: Conditions) -> Tensor:
        """Return the mean cross-entropy."""
        images, labels = batch
        logits = network(place.place_image(images)).float()
        smoothing = self.recipe.label_smoothing
        return cross_entropy(logits, labels.to(place.device), label_smoothing=smoothing)

    def answers(self, network: nn.Module, batch: Any, place: Conditions) -> list[int]:
        """Return for each image how many other classes have a logit at least as high; up to 5.

        A tie counts as wrong, as ``evaluate`` counts it.
        """
        images, labels = batch
        logits = network(place.place_image(images)).float()
        if not logits.isfinite().all():
            raise FloatingPointError("logits of test images are not finite numbers")
        own = logits.gather(1, labels.to(place.device)[:, None])
        others = (logits >= own).sum(1) - 1
        return others.clamp(max=FIVE).tolist()  # type: ignore[no-any-return]

    def scores(self, answers: Sequence[int]) -> Scores:
        """Return how many are right in the top 1 and in the top 5."""
        first = [others == 0 for others in answers]
        five = sum(others < FIVE for others in answers)
        return Scores(right={"top1": sum(first), "top5": five}, bits=first)
