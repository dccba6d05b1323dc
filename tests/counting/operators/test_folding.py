"""Operators that fold, by hand: sums, extremes and pooling."""

import pytest
from helpers.operators import Apply, costs
from torch import nn

from attnbench.counting.rules.executed import trace

ONE_OPERATOR = {
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
}


@pytest.mark.parametrize("what", ONE_OPERATOR)
def test_one_operator_costs_its_arithmetic_and_its_tensors(what):
    module, shape, expected = ONE_OPERATOR[what]
    recorded = trace(module, shape)
    assert recorded.total == expected
    assert recorded.not_counted == {}
    assert len(recorded.rows) == 1
