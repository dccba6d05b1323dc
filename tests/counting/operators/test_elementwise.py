"""Element-wise operators by hand: every output once, every input read once."""

import pytest
import torch
from helpers.operators import Apply, costs
from torch import nn

from attnbench.counting.rules.executed import trace

ONE_OPERATOR = {
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
}


@pytest.mark.parametrize("what", ONE_OPERATOR)
def test_one_operator_costs_its_arithmetic_and_its_tensors(what):
    module, shape, expected = ONE_OPERATOR[what]
    recorded = trace(module, shape)
    assert recorded.total == expected
    assert recorded.not_counted == {}
    assert len(recorded.rows) == 1
