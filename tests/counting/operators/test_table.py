"""The table of operators as a whole, and what is not in it."""

import pytest
import torch
from helpers.operators import Apply, costs
from torch import nn

from attnbench.counting.dispatch import FREE
from attnbench.counting.operators import OPERATORS
from attnbench.counting.operators.cost import Cost, Operator, nothing
from attnbench.counting.rules import macs
from attnbench.counting.rules.executed import trace


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
