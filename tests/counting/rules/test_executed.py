"""Every operator that runs: single ones by hand, then the seven modules, then whole networks."""

from copy import deepcopy
from dataclasses import asdict

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from attnbench.counting.dispatch import FREE, Trace, operator_name
from attnbench.counting.operators import OPERATORS
from attnbench.counting.operators.cost import Cost, Operator, nothing
from attnbench.counting.rules import macs
from attnbench.counting.rules.executed import RULE, block, part, stage, stage_and_part, trace
from attnbench.hosts.build import build
from attnbench.modules import ATTENTION, Site, create

IMAGE = (1, 3, 224, 224)
SIZE = 4  # bytes of an element in single precision

# ResNet-50: blocks, planes and side of the map by stage; C = 4 * planes behind bn3.
STAGES = ((3, 64, 56), (4, 128, 28), (6, 256, 14), (3, 512, 7))
ECA_SIZES = (3, 5, 5, 7)
AFTER_BN3 = [name for name, row in ATTENTION.items() if row.site is Site.AFTER_BN3]


class Apply(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def by_name(_: str, operator: str) -> str:
    return operator


def costs(*, read, written, macs=0, elementwise=0, reductions=0) -> Cost:
    """One kernel; ``read`` and ``written`` are elements of each tensor, 4 bytes an element."""
    return Cost(macs, elementwise, reductions, SIZE * sum(read), SIZE * sum(written), 1)


ONE_OPERATOR = {
    # 5 outputs of 7 products for each of 3 rows, and an addition each
    "linear": (
        nn.Linear(7, 5),
        (3, 7),
        costs(macs=3 * 5 * 7, elementwise=3 * 5, read=[3 * 7, 5 * 7, 5], written=[3 * 5]),
    ),
    "linear without a bias": (
        nn.Linear(7, 5, bias=False),
        (3, 7),
        costs(macs=3 * 5 * 7, read=[3 * 7, 5 * 7], written=[3 * 5]),
    ),
    "linear on a sequence": (
        nn.Linear(7, 5),
        (2, 3, 7),
        costs(macs=6 * 5 * 7, elementwise=6 * 5, read=[6 * 7, 5 * 7, 5], written=[6 * 5]),
    ),
    "batched product": (
        Apply(lambda x: x @ x.mT),
        (2, 3, 4),
        costs(macs=2 * 3 * 3 * 4, read=[2 * 3 * 4, 2 * 3 * 4], written=[2 * 3 * 3]),
    ),
    "batched product with a sum": (
        Apply(lambda x: torch.baddbmm(x[:, :, :3], x, x.mT)),
        (2, 3, 4),
        costs(
            macs=2 * 3 * 3 * 4,
            elementwise=2 * 3 * 3,
            read=[2 * 3 * 3, 2 * 3 * 4, 2 * 3 * 4],
            written=[2 * 3 * 3],
        ),
    ),
    "dot product": (
        Apply(lambda x: x[0] @ x[1]),
        (2, 5),
        costs(macs=5, read=[5, 5], written=[1]),
    ),
    "matrix by vector": (
        Apply(lambda x: x @ x[0]),
        (3, 4),
        costs(macs=3 * 4, read=[3 * 4, 4], written=[3]),
    ),
    # (11 + 2 - 2 * 2 - 1) // 2 + 1 = 5 by (9 + 2 - 2 * 2 - 1) // 2 + 1 = 4 positions
    "grouped, strided, dilated convolution": (
        nn.Conv2d(6, 8, 3, stride=2, padding=1, dilation=2, groups=2),
        (2, 6, 11, 9),
        costs(
            macs=2 * 8 * (5 * 4) * (6 // 2) * 9,
            elementwise=2 * 8 * (5 * 4),
            read=[2 * 6 * 11 * 9, 8 * (6 // 2) * 9, 8],
            written=[2 * 8 * (5 * 4)],
        ),
    ),
    "convolution without a bias": (
        nn.Conv2d(6, 8, 3, bias=False),
        (2, 6, 7, 6),
        costs(
            macs=2 * 8 * (5 * 4) * 6 * 9,
            read=[2 * 6 * 7 * 6, 8 * 6 * 9],
            written=[2 * 8 * (5 * 4)],
        ),
    ),
    "convolution in one dimension": (
        nn.Conv1d(3, 5, 4),
        (2, 3, 10),
        costs(
            macs=2 * 5 * 7 * 3 * 4,
            elementwise=2 * 5 * 7,
            read=[2 * 3 * 10, 5 * 3 * 4, 5],
            written=[2 * 5 * 7],
        ),
    ),
    # Each input meets 4 // 2 output channels in 3 * 3 positions; (5 - 1) * 2 + 3 = 11 by 9.
    "grouped, transposed convolution": (
        nn.ConvTranspose2d(6, 4, 3, stride=2, groups=2),
        (2, 6, 5, 4),
        costs(
            macs=2 * 6 * (5 * 4) * (4 // 2) * 9,
            elementwise=2 * 4 * (11 * 9),
            read=[2 * 6 * 5 * 4, 6 * (4 // 2) * 9, 4],
            written=[2 * 4 * (11 * 9)],
        ),
    ),
    # Multiply and add; weight, bias, running mean and variance of 3 channels
    "batch norm": (
        nn.BatchNorm2d(3),
        (2, 3, 4, 5),
        costs(elementwise=2 * 120, read=[120, 3, 3, 3, 3], written=[120]),
    ),
    "batch norm without weight and bias": (
        nn.BatchNorm2d(3, affine=False),
        (2, 3, 4, 5),
        costs(elementwise=2 * 120, read=[120, 3, 3], written=[120]),
    ),
    # It takes its statistics and saves a mean and a deviation of 3 channels.
    "batch norm that tracks nothing": (
        nn.BatchNorm2d(3, track_running_stats=False),
        (2, 3, 4, 5),
        costs(elementwise=2 * 120, reductions=2 * 120, read=[120, 3, 3], written=[120, 3, 3]),
    ),
    # Statistics, 2 * 2 groups of means and deviations; subtract, divide, multiply, add
    "group norm": (
        nn.GroupNorm(2, 4),
        (2, 4, 3, 5),
        costs(elementwise=4 * 120, reductions=2 * 120, read=[120, 4, 4], written=[120, 4, 4]),
    ),
    "group norm without weight and bias": (
        nn.GroupNorm(2, 4, affine=False),
        (2, 4, 3, 5),
        costs(elementwise=2 * 120, reductions=2 * 120, read=[120], written=[120, 4, 4]),
    ),
    # 2 * 4 rows of 3 * 5
    "layer norm": (
        nn.LayerNorm([3, 5]),
        (2, 4, 3, 5),
        costs(elementwise=4 * 120, reductions=2 * 120, read=[120, 15, 15], written=[120, 8, 8]),
    ),
    "layer norm without a bias": (
        nn.LayerNorm([3, 5], bias=False),
        (2, 4, 3, 5),
        costs(elementwise=3 * 120, reductions=2 * 120, read=[120, 15], written=[120, 8, 8]),
    ),
    "layer norm without weight and bias": (
        nn.LayerNorm([3, 5], elementwise_affine=False),
        (2, 4, 3, 5),
        costs(elementwise=2 * 120, reductions=2 * 120, read=[120], written=[120, 8, 8]),
    ),
    "softmax": (
        nn.Softmax(1),
        (4, 6),
        costs(elementwise=3 * 24, reductions=2 * 24, read=[24], written=[24]),
    ),
    "logarithm of a softmax": (
        nn.LogSoftmax(1),
        (4, 6),
        costs(elementwise=3 * 24, reductions=2 * 24, read=[24], written=[24]),
    ),
    "sigmoid": (nn.Sigmoid(), (4, 3), costs(elementwise=12, read=[12], written=[12])),
    "addition of a number": (
        Apply(lambda x: x + 1),
        (4, 3),
        costs(elementwise=12, read=[12], written=[12]),
    ),
    "addition of a row": (
        Apply(lambda x: x + x[0]),
        (4, 3),
        costs(elementwise=12, read=[12, 3], written=[12]),
    ),
    "column by row": (
        Apply(lambda x: x[:, :1] * x[:1]),
        (4, 3),
        costs(elementwise=12, read=[4, 3], written=[12]),
    ),
    "addition in place": (
        Apply(lambda x: x.add_(x[0])),
        (4, 3),
        costs(elementwise=12, read=[12, 3], written=[12]),
    ),
    "addition in place of itself": (
        Apply(lambda x: x.add_(x)),
        (4, 3),
        costs(elementwise=12, read=[12], written=[12]),
    ),
    "activation in place": (
        nn.ReLU(inplace=True),
        (4, 3),
        costs(elementwise=12, read=[12], written=[12]),
    ),
    "square by itself": (
        Apply(lambda x: x * x),
        (4, 3),
        costs(elementwise=12, read=[12], written=[12]),
    ),
    "expanded tensor": (
        Apply(lambda x: x[:1].expand(5, 3) + 1),
        (4, 3),
        costs(elementwise=15, read=[3], written=[15]),
    ),
    "expanded tensor and a whole one": (
        Apply(lambda x: x[:1].expand(4, 3) * x),
        (4, 3),
        costs(elementwise=12, read=[3, 12], written=[12]),
    ),
    "multiply and add": (
        Apply(lambda x: torch.addcmul(x, x[0], x[1])),
        (4, 3),
        costs(elementwise=2 * 12, read=[12, 3, 3], written=[12]),
    ),
    "chunks, joined the other way round": (
        Apply(lambda x: torch.cat(x.chunk(2, dim=1)[::-1], 1)),
        (4, 6),
        costs(read=[12, 12], written=[24]),
    ),
    "sum": (Apply(lambda x: x.sum(1)), (4, 3), costs(reductions=12, read=[12], written=[4])),
    "largest": (Apply(lambda x: x.amax(1)), (4, 3), costs(reductions=12, read=[12], written=[4])),
    # Values, and indices of 8 bytes
    "largest and where": (
        Apply(lambda x: x.max(1).values),
        (4, 3),
        costs(reductions=12, read=[12], written=[4, 2 * 4]),
    ),
    "mean": (
        Apply(lambda x: x.mean(1)),
        (4, 3),
        costs(elementwise=4, reductions=12, read=[12], written=[4]),
    ),
    # A mean; subtract and square; their sum
    "variance": (
        Apply(lambda x: x.var(1)),
        (4, 3),
        costs(elementwise=2 * 12, reductions=2 * 12, read=[12], written=[4]),
    ),
    # ... and a root
    "deviation": (
        Apply(lambda x: x.std(1)),
        (4, 3),
        costs(elementwise=2 * 12 + 4, reductions=2 * 12, read=[12], written=[4]),
    ),
    # (8 + 2 - 3) // 2 + 1 = 4 by (6 + 2 - 3) // 2 + 1 = 3 windows of 3 * 3; indices of 8 bytes
    "maximum pooling": (
        nn.MaxPool2d(3, stride=2, padding=1),
        (2, 3, 8, 6),
        costs(
            reductions=2 * 3 * (4 * 3) * 9,
            read=[2 * 3 * 8 * 6],
            written=[2 * 3 * (4 * 3), 2 * 2 * 3 * (4 * 3)],
        ),
    ),
    "maximum pooling of oblong windows": (
        nn.MaxPool2d((2, 3)),
        (2, 3, 8, 6),
        costs(
            reductions=2 * 3 * (4 * 2) * (2 * 3),
            read=[2 * 3 * 8 * 6],
            written=[2 * 3 * (4 * 2), 2 * 2 * 3 * (4 * 2)],
        ),
    ),
    "average pooling": (
        nn.AvgPool2d(2),
        (2, 3, 8, 6),
        costs(
            elementwise=2 * 3 * (4 * 3),
            reductions=2 * 3 * (4 * 3) * 4,
            read=[2 * 3 * 8 * 6],
            written=[2 * 3 * (4 * 3)],
        ),
    ),
    "average of the whole map": (
        nn.AdaptiveAvgPool2d(1),
        (2, 3, 8, 6),
        costs(elementwise=2 * 3, reductions=2 * 3 * 48, read=[2 * 3 * 48], written=[2 * 3]),
    ),
    # 8 rows into 3: 0 to 3, 2 to 6, 5 to 8; 6 columns into 4: 0 to 2, 1 to 3, 3 to 5, 4 to 6
    "adaptive average pooling whose windows overlap": (
        nn.AdaptiveAvgPool2d((3, 4)),
        (2, 3, 8, 6),
        costs(
            elementwise=2 * 3 * (3 * 4),
            reductions=2 * 3 * (3 + 4 + 3) * (2 + 2 + 2 + 2),
            read=[2 * 3 * 8 * 6],
            written=[2 * 3 * (3 * 4)],
        ),
    ),
    "adaptive maximum pooling whose windows overlap": (
        nn.AdaptiveMaxPool2d((3, 4)),
        (2, 3, 8, 6),
        costs(
            reductions=2 * 3 * (3 + 4 + 3) * (2 + 2 + 2 + 2),
            read=[2 * 3 * 8 * 6],
            written=[2 * 3 * (3 * 4), 2 * 2 * 3 * (3 * 4)],
        ),
    ),
    "clone": (Apply(lambda x: x.clone()), (4, 3), costs(read=[12], written=[12])),
    "reshape that has to copy": (
        Apply(lambda x: x.T.reshape(-1)),
        (4, 3),
        costs(read=[12], written=[12]),
    ),
    "copy": (
        Apply(lambda x: torch.empty_like(x).copy_(x)),
        (4, 3),
        costs(read=[12], written=[12]),
    ),
    "copy of a row into all": (
        Apply(lambda x: torch.empty_like(x).copy_(x[0])),
        (4, 3),
        costs(read=[3], written=[12]),
    ),
    "copy in half precision": (
        Apply(lambda x: x.bfloat16()),
        (4, 3),
        costs(read=[12], written=[12 // 2]),
    ),
    "fill": (Apply(lambda x: torch.empty_like(x).fill_(2)), (4, 3), costs(read=[], written=[12])),
}


@pytest.mark.parametrize("what", ONE_OPERATOR)
def test_one_operator_costs_its_arithmetic_and_its_tensors(what):
    module, shape, expected = ONE_OPERATOR[what]
    recorded = trace(module, shape)
    assert recorded.total == expected
    assert recorded.not_counted == {}
    assert len(recorded.rows) == 1


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.chunk(2, dim=1)[0],
        lambda x: x.flatten(1).unflatten(1, (2, -1)),
        lambda x: x[:, 1:3, ::2].transpose(1, 2)[..., None],
        lambda x: x[:1].expand(5, 4, 6),
        torch.empty_like,
        nn.Dropout(),  # in evaluation
    ],
)
def test_views_and_allocations_cost_nothing(view):
    recorded = trace(Apply(view), (2, 4, 6))
    assert recorded.rows == {}
    assert recorded.not_counted == {}


def test_operations_are_all_arithmetic_and_no_traffic():
    assert Cost(1, 20, 300, 4000, 50000, 600000).operations == 321


def test_two_calls_of_an_operator_are_added_up():
    recorded = trace(Apply(lambda x: (x + 1) + x[0]), (4, 3))
    assert recorded.rows == {("", "aten.add"): Cost(0, 2 * 12, 0, 4 * (12 + 12 + 3), 4 * 24, 2)}


def test_an_operator_of_the_table_exists_and_is_not_free():
    for name in OPERATORS:
        library, _, operator = name.partition(".")
        packet = getattr(getattr(torch.ops, library), operator)
        assert not any(getattr(packet, overload).is_view for overload in packet.overloads()), name
    assert not FREE & set(OPERATORS)


def test_an_operator_in_place_costs_what_its_plain_form_does():
    pairs = [(name[:-1], name) for name in OPERATORS if name.endswith("_")]
    both = [(plain, in_place) for plain, in_place in pairs if plain in OPERATORS]
    assert len(both) > 20
    assert all(OPERATORS[plain] == OPERATORS[in_place] for plain, in_place in both)


def test_what_multiplies_and_accumulates_is_what_the_rule_macs_knows():
    assert {name for name, row in OPERATORS.items() if row.macs is not nothing} == set(
        macs.PRODUCTS
    )


def test_a_row_without_arithmetic_is_a_move():
    assert Operator().macs is Operator().elementwise is Operator().reductions is nothing
    moved = trace(Apply(lambda x: x.roll(1)), (4, 3)).total
    assert moved == costs(read=[12], written=[12])


# The seven modules: every operator of one forward, in the order in which they run.


class Names(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(operator_name(func))
        return func(*args, **(kwargs or {}))


def group_norm_copies_a_half() -> bool:
    """torch 2.6 makes a half of the channels contiguous before it normalises them."""
    half = torch.empty(2, 4, 3, 3).chunk(2, dim=1)[1]
    with Names() as seen:
        nn.functional.group_norm(half, 2)
    return "aten.clone" in seen.names


def se(b, c, h, w):
    x, r = b * c * h * w, c // 16
    return [
        ("mean", costs(reductions=x, elementwise=b * c, read=[x], written=[b * c])),
        (
            "addmm",
            costs(macs=b * c * r, elementwise=b * r, read=[b * c, c * r, r], written=[b * r]),
        ),
        ("relu_", costs(elementwise=b * r, read=[b * r], written=[b * r])),
        (
            "addmm",
            costs(macs=b * c * r, elementwise=b * c, read=[b * r, c * r, c], written=[b * c]),
        ),
        ("sigmoid", costs(elementwise=b * c, read=[b * c], written=[b * c])),
        ("mul", costs(elementwise=x, read=[x, b * c], written=[x])),
    ]


def cbam(b, c, h, w):
    x, r, p = b * c * h * w, c // 16, b * h * w
    perceptron = [
        (
            "addmm",
            costs(macs=b * c * r, elementwise=b * r, read=[b * c, c * r, r], written=[b * r]),
        ),
        ("relu", costs(elementwise=b * r, read=[b * r], written=[b * r])),
        (
            "addmm",
            costs(macs=b * c * r, elementwise=b * c, read=[b * r, c * r, c], written=[b * c]),
        ),
    ]
    return [
        ("mean", costs(reductions=x, elementwise=b * c, read=[x], written=[b * c])),
        *perceptron,
        # maxima, and their indices of 8 bytes
        ("adaptive_max_pool2d", costs(reductions=x, read=[x], written=[b * c, 2 * b * c])),
        *perceptron,
        ("add", costs(elementwise=b * c, read=[b * c, b * c], written=[b * c])),
        ("sigmoid", costs(elementwise=b * c, read=[b * c], written=[b * c])),
        ("mul", costs(elementwise=x, read=[x, b * c], written=[x])),
        ("amax", costs(reductions=x, read=[x], written=[p])),
        ("mean", costs(reductions=x, elementwise=p, read=[x], written=[p])),
        ("cat", costs(read=[p, p], written=[2 * p])),
        ("convolution", costs(macs=p * 2 * 49, read=[2 * p, 2 * 49], written=[p])),
        ("native_batch_norm", costs(elementwise=2 * p, read=[p, 1, 1, 1, 1], written=[p])),
        ("sigmoid", costs(elementwise=p, read=[p], written=[p])),
        ("mul", costs(elementwise=x, read=[x, p], written=[x])),
    ]


def eca(b, c, h, w, k=5):
    x = b * c * h * w
    return [
        ("mean", costs(reductions=x, elementwise=b * c, read=[x], written=[b * c])),
        ("convolution", costs(macs=b * c * k, read=[b * c, k], written=[b * c])),
        ("sigmoid", costs(elementwise=b * c, read=[b * c], written=[b * c])),
        ("mul", costs(elementwise=x, read=[x, b * c], written=[x])),
    ]


def gc(b, c, h, w):
    x, r, p = b * c * h * w, c // 16, b * h * w
    return [
        ("convolution", costs(macs=x, elementwise=p, read=[x, c, 1], written=[p])),
        ("_softmax", costs(elementwise=3 * p, reductions=2 * p, read=[p], written=[p])),
        ("bmm", costs(macs=x, read=[x, p], written=[b * c])),
        (
            "convolution",
            costs(macs=b * c * r, elementwise=b * r, read=[b * c, c * r, r], written=[b * r]),
        ),
        # a mean and a deviation for each image
        (
            "native_layer_norm",
            costs(
                elementwise=4 * b * r,
                reductions=2 * b * r,
                read=[b * r, r, r],
                written=[b * r, b, b],
            ),
        ),
        ("relu_", costs(elementwise=b * r, read=[b * r], written=[b * r])),
        (
            "convolution",
            costs(macs=b * c * r, elementwise=b * c, read=[b * r, c * r, c], written=[b * c]),
        ),
        ("add", costs(elementwise=x, read=[x, b * c], written=[x])),
    ]


def sk(b, c, h, w, stride=1):
    x, r = b * c * h * w, c // 16
    y = b * c * (-(-h // stride)) * (-(-w // stride))  # rounded up

    def branch(groups):
        kernel = c // groups * 9  # taps that meet an output
        return [
            ("convolution", costs(macs=y * kernel, read=[x, c * kernel], written=[y])),
            ("native_batch_norm", costs(elementwise=2 * y, read=[y, c, c, c, c], written=[y])),
            ("relu_", costs(elementwise=y, read=[y], written=[y])),
        ]

    return [
        *branch(1),
        *branch(32),
        ("add", costs(elementwise=y, read=[y, y], written=[y])),
        ("mean", costs(reductions=y, elementwise=b * c, read=[y], written=[b * c])),
        ("convolution", costs(macs=b * c * r, read=[b * c, c * r], written=[b * r])),
        (
            "native_batch_norm",
            costs(elementwise=2 * b * r, read=[b * r, r, r, r, r], written=[b * r]),
        ),
        ("relu", costs(elementwise=b * r, read=[b * r], written=[b * r])),
        ("convolution", costs(macs=b * r * 2 * c, read=[b * r, r * 2 * c], written=[b * 2 * c])),
        (
            "_softmax",
            costs(
                elementwise=3 * b * 2 * c,
                reductions=2 * b * 2 * c,
                read=[b * 2 * c],
                written=[b * 2 * c],
            ),
        ),
        ("mul", costs(elementwise=y, read=[y, b * c], written=[y])),
        ("mul", costs(elementwise=y, read=[y, b * c], written=[y])),
        ("add", costs(elementwise=y, read=[y, y], written=[y])),
    ]


def sge(b, c, h, w):
    x, n, m = b * c * h * w, b * 64, b * 64 * h * w  # groups of all images; their positions
    return [
        ("mean", costs(reductions=x, elementwise=b * c, read=[x], written=[b * c])),
        ("mul", costs(elementwise=x, read=[x, b * c], written=[x])),
        ("sum", costs(reductions=x, read=[x], written=[m])),
        ("mean", costs(reductions=m, elementwise=n, read=[m], written=[n])),
        ("sub", costs(elementwise=m, read=[m, n], written=[m])),
        ("std", costs(reductions=2 * m, elementwise=2 * m + n, read=[m], written=[n])),
        ("add", costs(elementwise=n, read=[n], written=[n])),  # the small constant
        ("div", costs(elementwise=m, read=[m, n], written=[m])),
        ("mul", costs(elementwise=m, read=[m, 64], written=[m])),
        ("add", costs(elementwise=m, read=[m, 64], written=[m])),
        ("sigmoid", costs(elementwise=m, read=[m], written=[m])),
        ("mul", costs(elementwise=x, read=[x, m], written=[x])),
    ]


def sa(b, c, h, w):
    half, means, p = b * c * h * w // 2, b * c // 2, c // 128  # p: elements of a parameter
    copied = [("clone", costs(read=[half], written=[half]))] * group_norm_copies_a_half()
    return [
        # The first half of each group's channels, by their means
        ("mean", costs(reductions=half, elementwise=means, read=[half], written=[means])),
        ("mul", costs(elementwise=means, read=[p, means], written=[means])),
        ("add", costs(elementwise=means, read=[means, p], written=[means])),
        ("sigmoid", costs(elementwise=means, read=[means], written=[means])),
        ("mul", costs(elementwise=half, read=[half, means], written=[half])),
        # The second half, each channel normalised on its own
        *copied,
        (
            "native_group_norm",
            costs(
                elementwise=4 * half,
                reductions=2 * half,
                read=[half, p, p],
                written=[half, means, means],
            ),
        ),
        ("mul", costs(elementwise=half, read=[p, half], written=[half])),
        ("add", costs(elementwise=half, read=[half, p], written=[half])),
        ("sigmoid", costs(elementwise=half, read=[half], written=[half])),
        ("mul", costs(elementwise=half, read=[half, half], written=[half])),
        # Together, and shuffled
        ("cat", costs(read=[half, half], written=[2 * half])),
        ("clone", costs(read=[2 * half], written=[2 * half])),
    ]


MODULES = {
    "se": (se, (2, 128, 4, 3), {}),
    "cbam": (cbam, (2, 128, 4, 3), {}),
    "eca": (eca, (2, 128, 4, 3), {}),
    "gc": (gc, (2, 128, 4, 3), {}),
    "sk": (sk, (2, 128, 7, 5), {"stride": 2}),
    "sge": (sge, (2, 256, 4, 3), {}),
    "sa": (sa, (2, 256, 4, 3), {}),
}


def by_operator(steps):
    sums = {}
    for name, cost in steps:
        sums[f"aten.{name}"] = sums.get(f"aten.{name}", Cost()) + cost
    return sums


def total(steps):
    return sum((cost for _, cost in steps), Cost())


def test_every_module_is_written_out():
    assert set(MODULES) == set(ATTENTION)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_the_sum_of_its_operators(name):
    steps, shape, settings = MODULES[name]
    recorded = trace(create(name, shape[1], **settings), shape)
    written_out = steps(*shape, **settings)
    assert recorded.by(by_name) == by_operator(written_out)
    assert recorded.total == total(written_out)
    assert recorded.not_counted == {}


def test_sa_with_a_pencil():
    # 256 channels of 4 * 3 positions, twice: 6,144 elements; 3,072 a half, 256 means.
    half, means = 3072, 256
    copy = group_norm_copies_a_half()
    assert total(sa(2, 256, 4, 3)) == Cost(
        macs=0,
        # four for the means and one to scale; group norm four, weight, bias, gate, scale
        elementwise=4 * means + half + 4 * half + 4 * half,
        reductions=half + 2 * half,
        bytes_read=4
        * (
            (half + means + means + means + half + means)  # the first half
            + (half + half + half + half + 2 * half)  # the second
            + copy * half
            + 2 * half
            + 2 * half  # cat and shuffle
            + 6 * 2  # parameters: weight and bias of either gate and of the norm
        ),
        bytes_written=4
        * (4 * means + half + (half + 2 * means) + copy * half + 4 * half + 2 * half + 2 * half),
        kernels=12 + copy,
    )


# Whole networks.


@pytest.fixture(scope="module")
def networks():
    with torch.device("meta"):
        plain = {"plain": build("resnet50")}
        return plain | {name: build("resnet50", name) for name in ATTENTION}


@pytest.fixture(scope="module")
def traces(networks):
    return {name: trace(network, IMAGE) for name, network in networks.items()}


def published(name):
    """The steps of every block of ResNet-50 at 224, as published."""
    for number, (blocks, planes, side) in enumerate(STAGES):
        for index in range(blocks):
            if name == "sk":  # in place of conv2; the first block of stages 2 to 4 halves the map
                stride = 2 if number and not index else 1
                yield from sk(1, planes, stride * side, stride * side, stride=stride)
            elif name == "eca":
                yield from eca(1, 4 * planes, side, side, ECA_SIZES[number])
            else:
                yield from MODULES[name][0](1, 4 * planes, side, side)


@pytest.mark.parametrize("name", MODULES)
def test_the_attention_part_of_resnet50_is_its_16_modules(name, traces):
    assert traces[name].by(part)["attention"] == total(published(name))


def test_sa_launches_12_kernels_a_block(traces):
    kernels = 12 + group_norm_copies_a_half()
    by_block = traces["sa"].by(lambda path, name: f"{block(path, name)} {part(path, name)}")
    attention = [cost.kernels for name, cost in by_block.items() if name.endswith(" attention")]
    assert attention == [kernels] * 16
    assert traces["sa"].by(part)["attention"].kernels == 16 * kernels


def test_the_plain_network_is_its_layers(traces):
    recorded = traces["plain"]
    assert set(recorded.by(part)) == {"host"}
    # 53 convolutions and batch norms, 49 ReLUs, 16 additions, two poolings, the classifier
    assert recorded.total.kernels == 53 + 53 + 49 + 16 + 2 + 1
    assert recorded.total.macs == 4_089_184_256
    additions = recorded.by(by_name)["aten.add_"]
    assert additions.elementwise == sum(n * 4 * c * side**2 for n, c, side in STAGES) == 5_519_360
    assert additions.bytes_read == 2 * additions.bytes_written == 2 * 4 * 5_519_360


@pytest.mark.parametrize("name", AFTER_BN3)
def test_a_module_behind_bn3_leaves_every_row_of_the_host_as_it_was(name, traces):
    host = {key: cost for key, cost in traces[name].rows.items() if part(*key) == "host"}
    assert host == traces["plain"].rows
    assert traces[name].by(part)["host"] == traces["plain"].total


def test_sk_takes_conv2_bn2_and_a_relu_from_the_host(traces):
    taken = [
        cost
        for (path, _), cost in traces["plain"].rows.items()
        if path.endswith((".conv2", ".bn2"))
    ]
    assert len(taken) == 2 * 16
    for blocks, planes, side in STAGES:
        elements = planes * side**2
        taken += [costs(elementwise=elements, read=[elements], written=[elements])] * blocks
    assert sum(taken, traces["sk"].by(part)["host"]) == traces["plain"].total


@pytest.mark.parametrize("name", ["plain", *ATTENTION])
@pytest.mark.parametrize("key", [stage, block, part, stage_and_part, by_name])
def test_every_way_of_adding_up_gives_the_total(name, key, traces):
    recorded = traces[name]
    assert sum(recorded.by(key).values(), Cost()) == recorded.total


def test_stages_and_blocks_are_the_networks_in_its_order(traces):
    head, tail = ["conv1", "bn1", "relu", "maxpool"], ["avgpool", "fc"]
    assert list(traces["sa"].by(stage)) == [*head, "layer1", "layer2", "layer3", "layer4", *tail]
    blocks = [f"layer{n}.{i}" for n, many in enumerate((3, 4, 6, 3), 1) for i in range(many)]
    assert list(traces["sa"].by(block)) == [*head, *blocks, *tail]


def test_only_the_chosen_stages_have_attention():
    with torch.device("meta"):
        recorded = trace(build("resnet50", "sa", stages=[2, 4]), (1, 3, 64, 64))
    with_attention = [name for name in recorded.by(stage_and_part) if name.endswith(" attention")]
    assert with_attention == ["layer2 attention", "layer4 attention"]


class Gate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Sigmoid())

    def forward(self, x):
        return x * self.inner(x)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = Gate()
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.attention(x.exp()) + x).neg()


def test_operators_are_put_down_to_the_innermost_module_that_runs_them():
    recorded = trace(nn.ModuleDict({"layer": Block()})["layer"], (4, 3))
    assert {key: cost.kernels for key, cost in recorded.rows.items()} == {
        ("", "aten.exp"): 1,
        ("attention.inner.0", "aten.mm"): 1,
        ("attention.inner.1", "aten.sigmoid"): 1,
        ("attention", "aten.mul"): 1,
        ("", "aten.add"): 1,
        ("relu", "aten.relu"): 1,
        ("", "aten.neg"): 1,
    }
    assert {name: cost.kernels for name, cost in recorded.by(part).items()} == {
        "host": 4,
        "attention": 3,
    }


def test_a_part_is_attention_by_the_whole_name_at_any_depth():
    assert part("layer1.0.attention", "") == "attention"
    assert part("layer1.0.attention.fc.0", "") == "attention"
    assert part("layer1.0.self_attention", "") == "host"
    assert part("layer1.0", "aten.attention") == "host"


def test_a_count_is_the_trace_in_plain_numbers(networks, traces):
    count, recorded = RULE.count(networks["sa"], IMAGE), traces["sa"]
    assert count.operations == recorded.total.operations
    assert count.details == asdict(recorded.total) | {"peak_live_bytes": recorded.peak}
    assert count.params is None
    assert count.not_counted == {}
    assert list(count.parts) == list(recorded.by(stage_and_part))
    for figure in asdict(recorded.total):
        assert sum(values[figure] for values in count.parts.values()) == count.details[figure]


def test_an_unknown_operator_is_listed_with_its_number_and_costs_nothing():
    count = RULE.count(Apply(lambda x: (x.erfinv().erfinv() + 1).lgamma()), (4, 3))
    assert count.not_counted == {"aten.erfinv": 2, "aten.lgamma": 1}
    known = costs(elementwise=12, read=[12], written=[12])
    assert count.details == asdict(known) | {"peak_live_bytes": count.details["peak_live_bytes"]}
    assert count.operations == 12


# Live bytes.


@pytest.mark.parametrize(
    ("function", "elements"),
    [
        (lambda x: x + 1, 12),
        # the sum is alive while the product is made, then it is gone
        (lambda x: ((x + 1) * 2).neg(), 12 + 12),
        # two sums and their product
        (lambda x: (x + 1) * (x + 2), 12 + 12 + 12),
        (lambda x: (x + 1).relu_().mul_(2), 12),
        (lambda x: (x + 1).T[:2], 12),
        (lambda x: x.T, 0),
        # a part keeps its whole alive
        (lambda x: torch.cat([(x + 1)[:1], x[1:2]]).sum(), 12 + 6),
        # 4 sums, then 12 products beside them; the sums alone at the end
        (lambda x: (s := x.sum(1, keepdim=True), (x * s).sum())[0], 4 + 12 + 1),
        (lambda x: torch.cat([x, x]).sum(1), 24 + 8),
    ],
)
def test_the_peak_of_live_bytes_by_hand(function, elements):
    assert trace(Apply(function), (4, 3)).peak == 4 * elements


def test_the_peak_of_a_small_net_by_hand():
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False),  # 8 * 4 * 3 = 96 elements
        nn.BatchNorm2d(8),  # 96 more
        nn.ReLU(inplace=True),  # none; the convolution's are gone
        nn.Conv2d(8, 16, 1),  # 192 more, beside 96
        nn.AdaptiveAvgPool2d(1),  # 16, beside 192
    )
    assert trace(net, (1, 3, 6, 5)).peak == 4 * (96 + 192)
    assert trace(net[:3], (1, 3, 6, 5)).peak == 4 * (96 + 96)
    assert trace(net, (5, 3, 6, 5)).peak == 5 * 4 * (96 + 192)


# What a trace leaves alone.


def test_the_model_is_untouched():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 128, 3), nn.BatchNorm2d(128), create("sa", 128))
    model[1].eval()
    calls = []
    model[0].register_forward_hook(lambda *_: calls.append("hook"))
    modes = [module.training for module in model.modules()]
    kept, tensors = deepcopy(model.state_dict()), dict(model.state_dict(keep_vars=True))
    hooks = [dict(module._forward_hooks) for module in model.modules()]
    recorded = trace(model, (2, 3, 6, 5))
    assert recorded.total.macs == 2 * 128 * (4 * 3) * 27
    assert [module.training for module in model.modules()] == modes
    assert list(model.state_dict()) == list(kept)
    assert all(torch.equal(model.state_dict()[name], value) for name, value in kept.items())
    after = model.state_dict(keep_vars=True)
    assert all(after[name] is tensor for name, tensor in tensors.items())
    assert [dict(module._forward_hooks) for module in model.modules()] == hooks
    assert not any(module._forward_pre_hooks for module in model.modules())
    assert torch.is_grad_enabled()


def test_following_leaves_no_hook():
    model = Block()
    with Trace(OPERATORS).follow(model):
        assert all(module._forward_hooks for module in model.modules())
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


# Other precisions.


def traffic(module, shape, dtype):
    """The module's on a real CPU, fed with an image of its own precision."""
    network, image = module.to(dtype).eval(), torch.ones(shape, dtype=dtype)
    with torch.no_grad(), Trace(OPERATORS) as recorded:
        network(image)
    return recorded.total


CHAIN = nn.Sequential(
    nn.Conv2d(3, 8, 3),
    nn.BatchNorm2d(8),
    nn.ReLU(),
    nn.AvgPool2d(2),
    nn.Flatten(),
    nn.Linear(16, 5),
)


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (CHAIN, (2, 3, 6, 5)),
        *((create(name, 256), (2, 256, 4, 3)) for name in ("se", "eca", "sk", "sge", "sa")),
    ],
    ids=["chain", "se", "eca", "sk", "sge", "sa"],
)
def test_half_precision_moves_half_the_bytes(module, shape):
    single = traffic(deepcopy(module), shape, torch.float32)
    half = traffic(deepcopy(module), shape, torch.bfloat16)
    assert single.bytes_read > 0
    assert half == Cost(
        single.macs,
        single.elementwise,
        single.reductions,
        single.bytes_read // 2,
        single.bytes_written // 2,
        single.kernels,
    )


@pytest.mark.parametrize(
    ("module", "shape"),
    [(CHAIN, (2, 3, 6, 5)), (create("gc", 256), (2, 256, 4, 3)), (nn.Linear(7, 5), (3, 7))],
    ids=["chain", "gc", "linear"],
)
def test_a_trace_of_a_model_in_half_precision_is_in_half_precision(module, shape):
    half = trace(deepcopy(module).bfloat16(), shape).total
    assert half == traffic(deepcopy(module), shape, torch.bfloat16)


def test_a_tensor_given_to_be_written_is_not_read():
    recorded = trace(Apply(lambda x: torch.add(x, 1, out=torch.empty_like(x))), (4, 3))
    assert recorded.total == costs(elementwise=12, read=[12], written=[12])


def test_every_way_of_allocating_without_filling_is_free():
    recorded = trace(Apply(lambda x: x.new_empty(3)), (4, 3))
    assert recorded.not_counted == {}


def test_the_peak_is_known_for_each_module_and_operator():
    net = nn.Sequential(
        nn.Linear(6, 10, bias=False),  # (4, 10): 160 bytes
        nn.Sigmoid(),  # 160 more, beside its input
        nn.Linear(10, 50, bias=False),  # (4, 50): 800 bytes beside the sigmoid's 160
    )
    recorded = trace(net, (4, 6))
    assert recorded.peak_by(lambda path, _: path) == {"0": 160, "1": 320, "2": 960}
    assert recorded.peak_by(lambda _, operator: operator) == {"aten.mm": 960, "aten.sigmoid": 320}
    assert recorded.peak == 960


def test_the_peaks_of_the_parts_of_a_network_hold_the_peak_of_all():
    with torch.device("meta"):
        network = build("resnet50", "sa")
    count = RULE.count(network, (1, 3, 64, 64))
    peaks = [sums["peak_live_bytes"] for sums in count.parts.values()]
    assert max(peaks) == count.details["peak_live_bytes"]
