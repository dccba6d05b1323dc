"""What a task of classification reads: labelled images, and how they become a network's input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from PIL import Image
from torch import Tensor
from torchvision import transforms

from attnbench.records.trainings.recipe import Recipe
from attnbench.records.trainings.schema import TrainingData

Colour = tuple[float, float, float]


class Images(Protocol):
    """Labelled images to train on and to test on."""

    @property
    def data(self) -> TrainingData:
        """Name, digest and numbers."""

    @property
    def mean(self) -> Colour:
        """Of the colours, from 0 to 1; subtracted."""

    @property
    def std(self) -> Colour:
        """Of the colours; divided by."""

    @property
    def whole(self) -> bool:
        """Whether a test image is resized as a whole; else a centre crop of 224/256 is taken."""

    def training(self, index: int) -> tuple[Image.Image, int]:
        """Return an image to train on and its class. Raises SampleError if it cannot be read."""

    def test(self, index: int) -> tuple[Image.Image, int]:
        """Return an image to test on and its class. Raises SampleError if it cannot be read."""


@dataclass(frozen=True)
class Transforms:
    """From an image to a tensor (3, size, size) in float32: augmented, or as it is tested."""

    training: Callable[[Image.Image], Tensor]
    test: Callable[[Image.Image], Tensor]

    @classmethod
    def of(cls, images: Images, recipe: Recipe, size: int) -> Transforms:
        """Return those of a recipe: a random crop that is resized, and a mirror image."""
        end = [transforms.ToTensor(), transforms.Normalize(images.mean, images.std)]
        crop = transforms.RandomResizedCrop(size, scale=(recipe.crop_least, 1.0))
        flip = transforms.RandomHorizontalFlip(recipe.flip)
        resize = (
            [transforms.Resize((size, size))]
            if images.whole
            else [transforms.Resize(round(size * 256 / 224)), transforms.CenterCrop(size)]
        )
        return cls(transforms.Compose([crop, flip, *end]), transforms.Compose([*resize, *end]))
