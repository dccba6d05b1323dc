"""Parameters that are learnable, and those that a model file stores: by hand."""

import pytest
import torch
from torch import nn

from attnbench.counting.rules.parameters import STORED
from attnbench.hosts.build import build

IMAGE = (1, 3, 224, 224)


def stored(model):
    return STORED.count(model, (2, 3, 6, 5))


def test_stored_is_what_is_learnable_and_two_numbers_a_normalised_channel():
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(96, 10))
    learnable = (8 * 3 * 9 + 8) + 2 * 8 + (96 * 10 + 10)
    assert stored(net).params == learnable + 2 * 8
    assert stored(net).operations is None


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (nn.BatchNorm1d(3), 2 * 3 + 2 * 3),
        (nn.BatchNorm2d(3, affine=False), 2 * 3),
        (nn.BatchNorm3d(3), 2 * 3 + 2 * 3),
        (nn.GroupNorm(1, 3), 2 * 3),
        (nn.LayerNorm(3), 2 * 3),
        (nn.Linear(3, 5), 3 * 5 + 5),
    ],
)
def test_only_batch_norms_store_more_than_they_learn(module, expected):
    assert stored(module).params == expected


def test_a_shared_batch_norm_is_stored_once_and_a_frozen_one_is_stored():
    norm = nn.BatchNorm2d(3)
    assert stored(nn.Sequential(norm, norm)).params == 2 * 3 + 2 * 3
    assert stored(norm.requires_grad_(False)).params == 2 * 3


def test_a_batch_norm_that_tracks_nothing_stores_nothing_more():
    norm = nn.BatchNorm2d(3, track_running_stats=False)
    assert not list(norm.buffers())
    assert stored(norm).params == 2 * 3


def test_stored_in_resnet50():
    # 64 in the stem; in a block planes, planes and 4 * planes; a downsample's 4 * planes
    channels = 64 + sum(
        n * 6 * planes + 4 * planes
        for n, planes in zip((3, 4, 6, 3), (64, 128, 256, 512), strict=True)
    )
    with torch.device("meta"):
        assert STORED.count(build("resnet50"), IMAGE).params == 25_557_032 + 2 * channels
