"""Multiply-accumulates, against PyTorch's own counter and against arithmetic by hand."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from attnbench.counting.rules.macs import RESIDUALS, RULE
from attnbench.hosts.build import build
from attnbench.modules import ATTENTION

IMAGE = (1, 3, 224, 224)
PLAIN = 4_089_184_256

# ResNet-50: blocks, planes and positions of the map by stage; C = 4 * planes behind bn3.
STAGES = ((3, 64, 56**2), (4, 128, 28**2), (6, 256, 14**2), (3, 512, 7**2))
OUTPUTS = sum(n * 4 * planes * positions for n, planes, positions in STAGES)
PERCEPTRONS = sum(n * 2 * (4 * planes) * (planes // 4) for n, planes, _ in STAGES)  # r = 16

ADDED = {
    "se": PERCEPTRONS,
    # The perceptron runs twice; the spatial convolution reads 2 maps through 7 * 7 taps.
    "cbam": 2 * PERCEPTRONS + sum(n * positions * 2 * 49 for n, _, positions in STAGES),
    "eca": sum(n * 4 * planes * k for (n, planes, _), k in zip(STAGES, (3, 5, 5, 7), strict=True)),
    # The mask and the weighted sum are one product each over the whole map.
    "gc": 2 * OUTPUTS + PERCEPTRONS,
    # The grouped branch, planes / 32 input channels; fc1 to planes / 16 and fc2 to 2 * planes.
    "sk": sum(
        n * (positions * planes * (planes // 32) * 9 + 3 * planes * (planes // 16))
        for n, planes, positions in STAGES
    ),
    "sge": 0,
    "sa": 0,
}


@pytest.fixture(scope="module")
def networks() -> dict[str, nn.Module]:
    with torch.device("meta"):
        plain = {"plain": build("resnet50").eval()}
        return plain | {name: build("resnet50", name).eval() for name in ATTENTION}


@pytest.fixture(scope="module")
def counts(networks):
    return {name: RULE.count(network, IMAGE) for name, network in networks.items()}


def pytorchs(model: nn.Module, x: torch.Tensor) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(x)
    return counter.get_total_flops()


def test_the_16_block_outputs_hold_5_519_360_elements():
    assert OUTPUTS == 5_519_360
    assert PERCEPTRONS == 2_514_944


def test_the_plain_network_has_4_089_184_256(counts):
    assert counts["plain"].operations == PLAIN
    assert counts["plain"].params is None


@pytest.mark.parametrize("name", ADDED)
def test_a_module_adds_what_its_arithmetic_says(name, counts):
    assert counts[name].operations - PLAIN == ADDED[name]


@pytest.mark.parametrize("name", ["plain", *ATTENTION])
def test_pytorchs_counter_says_twice_as_much(name, counts, networks):
    flops = pytorchs(networks[name], torch.empty(IMAGE, device="meta"))
    assert 2 * counts[name].operations == flops


class Apply(nn.Module):
    def __init__(self, function, *modules) -> None:
        super().__init__()
        self.function = function
        self.parts = nn.ModuleList(modules)

    def forward(self, x):
        return self.function(x, *self.parts)


BY_HAND = {
    # (11 + 2 - 2 * 2 - 1) // 2 + 1 = 5 by (9 + 2 - 2 * 2 - 1) // 2 + 1 = 4 positions
    "strided, dilated, grouped convolution": (
        nn.Conv2d(6, 8, 3, stride=2, padding=1, dilation=2, groups=2),
        (2, 6, 11, 9),
        2 * (5 * 4) * 8 * (6 // 2) * 9,
    ),
    "convolution in one dimension": (nn.Conv1d(3, 5, 4), (2, 3, 10), 2 * 7 * 5 * 3 * 4),
    "convolution in three": (
        nn.Conv3d(2, 3, (1, 2, 3), bias=False),
        (1, 2, 4, 5, 6),
        (4 * 4 * 4) * 3 * 2 * (1 * 2 * 3),
    ),
    # Every input position is multiplied into 3 * 3 positions of each output channel.
    "transposed, grouped convolution": (
        nn.ConvTranspose2d(6, 4, 3, stride=2, groups=2),
        (2, 6, 5, 4),
        2 * (5 * 4) * 6 * (4 // 2) * 9,
    ),
    "transposed, dilated convolution": (
        nn.ConvTranspose1d(3, 5, 4, stride=3, dilation=2),
        (1, 3, 7),
        7 * 3 * 5 * 4,
    ),
    "linear layer with a bias": (nn.Linear(7, 5), (3, 7), 3 * 7 * 5),
    "linear layer without": (nn.Linear(7, 5, bias=False), (3, 7), 3 * 7 * 5),
    "linear layer on a sequence": (nn.Linear(7, 5), (2, 3, 7), 2 * 3 * 7 * 5),
    "batched product": (Apply(lambda x: x @ x.mT), (2, 3, 4), 2 * 3 * 3 * 4),
    "batched product with a sum": (
        Apply(lambda x: torch.baddbmm(x[:, :, :3], x, x.mT)),
        (2, 3, 4),
        2 * 3 * 3 * 4,
    ),
    "product": (Apply(lambda x: x @ x.T), (3, 4), 3 * 3 * 4),
    "product with a sum": (Apply(lambda x: torch.addmm(x[0, :3], x, x.T)), (3, 4), 3 * 3 * 4),
    "einsum": (Apply(lambda x: torch.einsum("nij,nkj->nik", x, x)), (2, 3, 4), 2 * 3 * 3 * 4),
}

BEYOND_PYTORCHS_COUNTER = {
    "matrix by vector": (Apply(lambda x: x @ x[0]), (3, 4), 3 * 4),
    "matrix by vector with a sum": (
        Apply(lambda x: torch.addmv(x[:, 0], x, x[0])),
        (3, 4),
        3 * 4,
    ),
    "dot product": (Apply(lambda x: x[0] @ x[1]), (2, 4), 4),
}


@pytest.mark.parametrize("what", BY_HAND | BEYOND_PYTORCHS_COUNTER)
def test_an_operator_costs_its_multiplications_and_no_bias(what):
    module, shape, expected = (BY_HAND | BEYOND_PYTORCHS_COUNTER)[what]
    count = RULE.count(module, shape)
    assert count.operations == expected
    assert count.not_counted == {}


@pytest.mark.parametrize("what", BY_HAND)
def test_an_operator_costs_half_of_what_pytorch_says(what):
    module, shape, _ = BY_HAND[what]
    assert 2 * RULE.count(module, shape).operations == pytorchs(module, torch.ones(shape))


def test_everything_else_is_listed(counts):
    assert counts["plain"].not_counted == {
        "aten.native_batch_norm": 53,  # 1 + 16 * 3 + 4
        "aten.relu_": 49,  # 1 + 16 * 3
        "aten.max_pool2d_with_indices": 1,
        "aten.add_": 16,
        "aten.mean": 1,
    }
    assert counts["gc"].not_counted == counts["plain"].not_counted | {
        "aten.relu_": 49 + 16,
        "aten._softmax": 16,
        "aten.native_layer_norm": 16,
        "aten.add": 16,
    }


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
    assert count.operations == PLAIN + OUTPUTS
