"""Operators that normalise, by hand: statistics, then each element by them."""

import pytest
from helpers.operators import costs
from torch import nn

from attnbench.counting.rules.executed import trace

ONE_OPERATOR = {
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
}


@pytest.mark.parametrize("what", ONE_OPERATOR)
def test_one_operator_costs_its_arithmetic_and_its_tensors(what):
    module, shape, expected = ONE_OPERATOR[what]
    recorded = trace(module, shape)
    assert recorded.total == expected
    assert recorded.not_counted == {}
    assert len(recorded.rows) == 1
