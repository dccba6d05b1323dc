"""Detection, with masks where the host predicts them, as the engine's task."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from attnbench.detection import package
from attnbench.detection.evaluate import answers as found_in
from attnbench.detection.evaluate import of_kind, sizes
from attnbench.detection.images import DetectionImages
from attnbench.detection.networks import detector, train_mode
from attnbench.detection.options import has_masks
from attnbench.detection.training import loss as sum_of_losses
from attnbench.errors import UserError
from attnbench.hosts.conditions import Conditions
from attnbench.hosts.placement.choice import Choice
from attnbench.records.trainings.recipe import Recipe
from attnbench.records.trainings.schema import TrainingData
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.training.detection.data import CocoData
from attnbench.training.detection.pretrained import fill
from attnbench.training.task import SampleError, Scores


@dataclass(frozen=True)
class Detection:
    """Images with boxes and masks; the sum of torchvision's losses; COCO's average precision."""

    images: CocoData
    recipe: Recipe
    size: int
    """The shorter side to which images are resized."""
    host: str
    where: Choice
    backbones: Mapping[str, Path] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    """torchvision's, of its detectors."""

    name = "detection"
    metric = "box_ap"

    @property
    def data(self) -> TrainingData:
        """What is trained and tested on."""
        return self.images.data

    @property
    def _masks(self) -> bool:
        return has_masks(self.host)

    def network(self, variant: str) -> nn.Module:
        """Build the detector for the categories, with the module of that name in its backbone."""
        module = None if variant in {PLAIN, CONTROL} else variant
        network = self._built(module)
        fill(network, variant, self.backbones, lambda: self._built(None))
        return network

    def _built(self, module: str | None) -> nn.Module:
        with redirect_stdout(sys.stderr):  # stdout is for results, not for a module's own prints
            return detector(
                self.host,
                module,
                self.data.classes,
                size=sizes(self.size),
                frozen=self.recipe.frozen,
                stages=self.where.stages,
                blocks=self.where.blocks,
                **self.settings,
            )

    def begin_training(self, network: nn.Module) -> None:
        """Set training mode; where the recipe fixes norms, they stay in evaluation mode."""
        train_mode(network, fixed_norms=self.recipe.norms == "fixed")

    def training_sample(self, index: int) -> Any:
        """Return an image, mirrored with the recipe's probability, and its boxes and masks."""
        flipped = bool(torch.rand(()) < self.recipe.flip)
        return self._sample(self.images.train, index, flipped=flipped)

    def test_sample(self, index: int) -> tuple[Tensor, int]:
        """Return a test image and its id."""
        try:
            pixels = self.images.val.image(index)
        except UserError as error:
            raise SampleError(str(error)) from error
        return pixels, self.images.val.annotations.images[index]["id"]

    def trial(self) -> list[Any]:
        """Return a batch of two images of noise with an object each."""
        side = self.size
        box = torch.tensor([[0.2, 0.2, 0.8, 0.8]]) * side
        target = {"boxes": box, "labels": torch.ones(1, dtype=torch.int64)}
        if self._masks:
            target["masks"] = torch.ones(1, side, side, dtype=torch.uint8)
        return [(torch.rand(3, side, side), dict(target)) for _ in range(2)]

    def _sample(self, images: DetectionImages, index: int, *, flipped: bool) -> Any:
        try:
            return images.sample(index, with_masks=self._masks, flipped=flipped)
        except UserError as error:
            raise SampleError(str(error)) from error

    def collate(self, samples: list[Any]) -> list[Any]:
        """Return the samples: images of a batch have sizes of their own."""
        return samples

    def loss(self, network: nn.Module, batch: Any, place: Conditions) -> Tensor:
        """Return the sum of the detector's losses, each a mean over the batch."""
        images = [image.to(place.device) for image, _ in batch]
        targets = [
            {name: value.to(place.device) for name, value in target.items()} for _, target in batch
        ]
        return sum_of_losses(network, images, targets).float()

    def answers(self, network: nn.Module, batch: Any, place: Conditions) -> list[Any]:
        """Return what is found in each image, in COCO's fields: one by one, as ``evaluate`` does.

        In a batch, images would be filled up to a common size, which changes what is found.
        """
        categories = {label: number for number, label in self.images.val.labels.items()}
        found = []
        for image, number in batch:
            (output,) = network([image.to(place.device)])
            try:
                found.append(found_in(output, number, categories))
            except UserError as error:
                raise FloatingPointError(str(error)) from error
        return found

    def scores(self, answers: Sequence[Any]) -> Scores:
        """Return average precisions: ``box_ap``, ``box_ap50``, ..., ``mask_ap``, ..."""
        found = [one for of_image in answers for one in of_image]
        truth = self.images.val.annotations.data
        figures: dict[str, float] = {}
        for kind in ("box", "mask") if self._masks else ("box",):
            precisions = package.precision(truth, of_kind(found, kind), kind)
            figures |= {f"{kind}_{name}": ap for name, ap in precisions.items() if ap is not None}
        return Scores(figures=figures)
