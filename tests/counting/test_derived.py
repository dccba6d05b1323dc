"""Rules that are another rule and a term: the term by hand on small nets and published ones."""

import pytest
import torch
from torch import nn

from attnbench.counting import DERIVED, fvcore
from attnbench.counting.derived import BY_MEAN, RESIDUALS, STORED
from attnbench.hosts import build
from attnbench.modules import create

IMAGE = (1, 3, 224, 224)
RESNET50_OUTPUTS = 5_519_360  # elements behind its 16 additions


class Apply(nn.Module):
    def __init__(self, function, *modules) -> None:
        super().__init__()
        self.function = function
        self.parts = nn.ModuleList(modules)

    def forward(self, x):
        return self.function(x, *self.parts)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """fvcore runs the networks."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_they_are_in_the_table_by_their_names():
    assert [DERIVED[rule.name] for rule in (STORED, RESIDUALS, BY_MEAN)] == [
        STORED,
        RESIDUALS,
        BY_MEAN,
    ]


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


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x, layer: layer(x).add_(x), 3 * 4 * 4 + 3 * 4),
        (lambda x, layer: layer(x).add_(x).add_(x), 3 * 4 * 4 + 2 * 3 * 4),
        (lambda x, layer: layer(x), 3 * 4 * 4),
        # neither another operator in place, nor an addition that makes a new tensor
        (lambda x, layer: layer(x).mul_(x).relu_() + x, 3 * 4 * 4),
    ],
)
def test_residuals_are_additions_in_place(function, expected):
    count = RESIDUALS.count(Apply(function, nn.Linear(4, 4)), (3, 4))
    assert count.operations == expected
    assert count.params is None


@pytest.mark.parametrize("name", [None, "sa"])
def test_residuals_of_resnet50(name):
    with torch.device("meta"):
        count = RESIDUALS.count(build("resnet50", name), IMAGE)
    assert count.operations == 4_089_184_256 + RESNET50_OUTPUTS


def pooled(spelling):
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), spelling, nn.Linear(8, 10))


def test_by_mean_is_fvcore_where_the_network_says_mean():
    module = pooled(Apply(lambda x, pool: pool(x).flatten(1), nn.AdaptiveAvgPool2d(1)))
    call = pooled(Apply(lambda x: x.mean((2, 3))))
    shape = (1, 3, 6, 5)
    products_and_norm = 8 * 12 * 27 + 2 * 8 * 12 + 8 * 10
    assert BY_MEAN.count(module, shape).operations == products_and_norm
    assert fvcore.RULE.count(call, shape).operations == products_and_norm
    assert fvcore.RULE.count(module, shape).operations == products_and_norm + 8 * 12
    assert BY_MEAN.count(call, shape).operations == products_and_norm


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        # to 128 / 16 = 8 units and back; the pooling is 128 * 12
        ("se", (1, 128, 4, 3), 2 * 128 * 8),
        ("eca", (1, 128, 4, 3), 128 * 5),
        ("sge", (1, 128, 4, 3), 0),
        ("sa", (1, 128, 4, 3), 5 * 64 * 12),  # a group norm of half of it
    ],
)
def test_by_mean_leaves_out_the_pooling_of_a_module(name, shape, expected):
    module = create(name, 128)
    pooled = (64 if name == "sa" else 128) * 12
    assert BY_MEAN.count(module, shape).operations == expected
    assert fvcore.RULE.count(module, shape).operations == expected + pooled
