from collections import Counter

import numpy as np
import pytest
import torch

from attnbench.errors import UserError
from attnbench.training.classification import digits
from attnbench.training.classification.images import Transforms
from attnbench.training.recipes import recipe

load = digits._load


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve images each of three digits, whose first pixel is the image's number."""
    labels = np.tile([0, 1, 2], 12)
    pixels = np.zeros((36, 8, 8), dtype=np.uint8)
    pixels[:, 0, 0] = np.arange(36) % 17
    monkeypatch.setattr(digits, "_load", lambda: (pixels, labels))


@pytest.mark.usefixtures("few")
def test_the_split_is_the_same_share_of_each_class() -> None:
    images = digits.Digits()
    # Of twelve the places 0, 5 and 10.
    assert (images.data.train_images, images.data.test_images) == (27, 9)
    assert Counter(images.test(n)[1] for n in range(9)) == {0: 3, 1: 3, 2: 3}
    assert [images.test(n)[1] for n in range(3)] == [0, 1, 2]
    # The test's second three are the places 5: images 15, 16 and 17 of all.
    assert [images._test[0][n][0, 0] for n in (3, 4, 5)] == [15, 16, 0]


def test_the_packages_digits_are_those_that_are_known() -> None:
    """1,797 of 10 classes: https://archive.ics.uci.edu/dataset/80, whose test part this is."""
    images = digits.Digits()
    data = images.data
    assert (data.train_images + data.test_images, data.classes) == (1797, 10)
    # Of 178, 182, 177, 183, 181, 182, 181, 179, 174 and 180 images, a fifth of each, rounded up.
    counts = (178, 182, 177, 183, 181, 182, 181, 179, 174, 180)
    assert data.test_images == sum(-(-count // 5) for count in counts) == 364
    assert data.sha256 == "65e5b4619795efb40c1082f4c350c049e4ad552200d369b6ae99e21eef5e72c5"


@pytest.mark.usefixtures("few")
def test_inputs_have_the_images_size_and_are_normalised() -> None:
    images = digits.Digits()
    transforms = Transforms.of(images, recipe("short"), 48)
    picture, _ = images.training(0)
    assert picture.size == (32, 32)
    out = transforms.test(picture)
    assert (out.shape, out.dtype) == ((3, 48, 48), torch.float32)
    black = -images.mean[0] / images.std[0]
    assert out[0, -1, -1] == pytest.approx(black, abs=1e-5)
    torch.manual_seed(0)
    assert transforms.training(picture).shape == (3, 48, 48)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sklearn.datasets", None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[digits\]'"):
        load()
