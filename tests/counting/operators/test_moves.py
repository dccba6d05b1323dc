"""Operators that only move, by hand."""

import pytest
import torch
from helpers.operators import Apply, costs

from attnbench.counting.rules.executed import trace

ONE_OPERATOR = {
    "chunks, joined the other way round": (
        Apply(lambda x: torch.cat(x.chunk(2, dim=1)[::-1], 1)),
        (4, 6),
        costs(read=[12, 12], written=[24]),
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
