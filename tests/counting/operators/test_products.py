"""Products by hand: multiply-accumulates, a bias, and what is read and written."""

import pytest
import torch
from helpers.operators import Apply, costs
from torch import nn

from attnbench.counting.rules.executed import trace

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
}


@pytest.mark.parametrize("what", ONE_OPERATOR)
def test_one_operator_costs_its_arithmetic_and_its_tensors(what):
    module, shape, expected = ONE_OPERATOR[what]
    recorded = trace(module, shape)
    assert recorded.total == expected
    assert recorded.not_counted == {}
    assert len(recorded.rows) == 1
