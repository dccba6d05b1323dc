"""scikit-learn's 1,797 handwritten digits: real data that a package ships.

They are the test part of the UCI Optical Recognition of Handwritten Digits, 8x8 pixels of 16 greys
each, of 13 writers, whose digits are in both parts here: the test says nothing of other writers.
"""

from __future__ import annotations

from functools import cached_property
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from attnbench.errors import UserError
from attnbench.records.trainings.schema import TrainingData
from attnbench.training.classification.images import Colour
from attnbench.training.setup.requirements import DIGITS

CLASSES, GREYS = 10, 16

TEST_EVERY = 5
"""Of each class, the first of so many images, in the package's order, is one to test on."""

ENLARGED = 4
"""Pixels a side for each pixel, bilinear, before anything is cropped: crops fall between them."""


class Digits:
    """The digits in a fixed split, the same share of each class on both sides."""

    whole = True

    def __init__(self) -> None:
        pixels, labels = _load()
        place = np.zeros(len(labels), dtype=int)  # of an image among those of its class
        for digit in range(CLASSES):
            place[labels == digit] = np.arange(np.count_nonzero(labels == digit))
        test = place % TEST_EVERY == 0
        self._training = (pixels[~test], labels[~test])
        self._test = (pixels[test], labels[test])
        self.data = TrainingData(
            name=DIGITS,
            sha256=sha256(pixels.tobytes() + labels.tobytes()).hexdigest(),
            split=f"of each class the first of every {TEST_EVERY} images is tested on",
            train_images=len(self._training[1]),
            test_images=len(self._test[1]),
            classes=CLASSES,
        )

    @cached_property
    def mean(self) -> Colour:
        """Mean grey of the images to train on."""
        mean = float(self._training[0].mean()) / GREYS
        return mean, mean, mean

    @cached_property
    def std(self) -> Colour:
        """Standard deviation of their greys."""
        std = float(self._training[0].std()) / GREYS
        return std, std, std

    def training(self, index: int) -> tuple[Image.Image, int]:
        """Return an image to train on and its digit."""
        return _image(self._training[0][index]), int(self._training[1][index])

    def test(self, index: int) -> tuple[Image.Image, int]:
        """Return an image to test on and its digit."""
        return _image(self._test[0][index]), int(self._test[1][index])


def _image(pixels: NDArray[np.uint8]) -> Image.Image:
    grey = Image.fromarray((pixels.astype(np.uint16) * 255 // GREYS).astype(np.uint8))
    side = pixels.shape[0] * ENLARGED
    return grey.resize((side, side), Image.Resampling.BILINEAR).convert("RGB")


def _load() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return greys 0 to 16 (images, 8, 8) and digits (images)."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise UserError("--data digits needs scikit-learn: pip install -e '.[digits]'") from error
    loaded = load_digits()
    return loaded.images.astype(np.uint8), loaded.target.astype(np.int64)
