"""Multiply-accumulates of convolutions and matrix products, and nothing else."""

from __future__ import annotations

from torch import nn

from attnbench.counting import dispatch
from attnbench.counting.operators import OPERATORS
from attnbench.counting.operators.cost import Cost, nothing
from attnbench.counting.rule import Count, Input, Rule
from attnbench.counting.rules import executed
from attnbench.counting.twin import twin

PRODUCTS = {name: row for name, row in OPERATORS.items() if row.macs is not nothing}
"""Every operator that multiplies and accumulates; a bias is an addition, not one of these."""


def count(model: nn.Module, given: Input) -> Count:
    """Count the MACs of one forward."""
    recorded = dispatch.trace(*twin(model, given), PRODUCTS)
    return Count(operations=recorded.total.macs, not_counted=dict(recorded.not_counted))


RULE = Rule(
    name="macs",
    definition="Multiply-accumulates of convolutions and matrix products that ran; biases not.",
    source="what is left where all rules agree; half of torch.utils.flop_counter's figure",
    count=count,
)


def count_with_residuals(model: nn.Module, given: Input) -> Count:
    """Count MACs, and one for each element that a residual connection adds in place."""
    recorded = executed.trace(model, given)
    residuals = recorded.by(lambda _, operator: operator).get("aten.add_", Cost())
    return Count(
        operations=recorded.total.macs + residuals.elementwise,
        not_counted=dict(recorded.not_counted),
    )


RESIDUALS = Rule(
    name="macs + residuals",
    definition="macs, and one for each element of every residual addition.",
    source="inferred from the SKNets' printed GFLOPs",
    count=count_with_residuals,
)
