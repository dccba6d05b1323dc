"""PyTorch's own counter as a rule: small nets by hand, and what it leaves out."""

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from attnbench.counting.rules.packages import TORCH
from attnbench.modules import create


class Apply(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@pytest.mark.parametrize(
    ("module", "shape", "products"),
    [
        (nn.Linear(7, 5), (3, 7), 3 * 5 * 7),
        (nn.Linear(7, 5, bias=False), (2, 3, 7), 2 * 3 * 5 * 7),
        # 5 by 4 positions
        (nn.Conv2d(6, 8, 3, bias=False), (2, 6, 7, 6), 2 * 8 * (5 * 4) * 6 * 9),
        (nn.Conv2d(6, 8, 3, groups=2), (2, 6, 7, 6), 2 * 8 * (5 * 4) * (6 // 2) * 9),
        (nn.Conv1d(3, 5, 4), (2, 3, 10), 2 * 5 * 7 * 3 * 4),
        # every input meets 4 channels in 3 * 3 positions
        (nn.ConvTranspose2d(6, 4, 3, stride=2), (2, 6, 5, 4), 2 * 6 * (5 * 4) * 4 * 9),
        (Apply(lambda x: x @ x.mT), (2, 3, 4), 2 * 3 * 3 * 4),
        (Apply(lambda x: torch.addmm(x[0, :3], x, x.T)), (3, 4), 3 * 3 * 4),
    ],
)
def test_a_multiply_accumulate_is_two_and_a_bias_nothing(module, shape, products):
    count = TORCH.count(module, shape)
    assert count.operations == 2 * products
    assert count.not_counted == {}
    assert count.params is None


@pytest.mark.parametrize(
    ("function", "listed"),
    [
        (lambda x: x @ x[0], {"aten.mv": 1}),
        (lambda x: x[0] @ x[1], {"aten.dot": 1}),
        (lambda x: x.relu() + x.relu(), {"aten.relu": 2, "aten.add": 1}),
        (lambda x: x.cumsum(0).softmax(1), {"aten.cumsum": 1, "aten._softmax": 1}),
        (lambda x: x.T.flatten(0), {"aten.clone": 1}),
        (lambda x: x.T[:2].chunk(2)[0], {}),
    ],
)
def test_what_is_not_counted_is_nothing_and_listed(function, listed):
    count = TORCH.count(Apply(function), (3, 4))
    assert count.operations == 0
    assert count.not_counted == listed


def test_a_small_net_is_its_products_and_a_list_of_the_rest():
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3),  # 4 by 3 positions
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d((2, 3)),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 10),
    )
    count = TORCH.count(net, (2, 3, 6, 5))
    assert count.operations == 2 * (2 * 8 * (4 * 3) * 3 * 9 + 2 * 8 * 10)
    assert count.not_counted == {
        "aten.native_batch_norm": 1,
        "aten.relu": 2,
        "aten.max_pool2d_with_indices": 1,
        "aten.mean": 1,
    }


def test_of_gc_its_products_are_counted():
    # The mask and the weighted mean fold every element once; to 128 / 16 = 8 units and back.
    count = TORCH.count(create("gc", 128), (2, 128, 4, 3))
    assert count.operations == 2 * (2 * 128 * 12 + 2 * 128 * 12 + 2 * 2 * 128 * 8)
    assert count.not_counted == {
        "aten._softmax": 1,
        "aten.native_layer_norm": 1,
        "aten.relu_": 1,
        "aten.add": 1,
    }


class Tokens(nn.Module):
    """Layers that take a learnable tensor as their input."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Parameter(torch.ones(4, 8))
        self.project = nn.Linear(8, 8)
        self.normed = weight_norm(nn.Conv2d(8, 8, 1))

    def forward(self, x):
        return self.normed(x) * self.project(self.tokens).mean(0).view(1, 8, 1, 1)


def test_learnable_inputs_of_layers_are_counted():
    counted = TORCH.count(Tokens(), (1, 8, 3, 3))
    assert counted.operations == 2 * (8 * 8 * 9 + 4 * 8 * 8)  # the convolution, the projection


def test_nothing_is_printed(capsys):
    TORCH.count(nn.Linear(7, 5), (3, 7))
    assert capsys.readouterr() == ("", "")
