"""Multiply-accumulates of convolutions and matrix products, and nothing else."""

from __future__ import annotations

from torch import nn

from attnbench.counting import executed
from attnbench.counting.dispatch import Cost, watch
from attnbench.counting.operator_costs import OPERATORS, nothing
from attnbench.counting.rule import Count, Rule, Shape, meta_twin

COSTS: dict[str, Cost] = {
    name: row.macs for name, row in OPERATORS.items() if row.macs is not nothing
}
"""Every operator that multiplies and accumulates; a bias is an addition, not one of these."""


def count(model: nn.Module, input_shape: Shape) -> Count:
    """MACs of one forward on the meta device."""
    seen = watch(meta_twin(model), input_shape, COSTS)
    return Count(operations=seen.total, not_counted=dict(seen.not_counted))


RULE = Rule(
    name="macs",
    definition="Multiply-accumulates of convolutions and matrix products that ran; biases not.",
    source="what is left where all rules agree; half of torch.utils.flop_counter's figure",
    count=count,
)


def count_with_residuals(model: nn.Module, input_shape: Shape) -> Count:
    """MACs, and one for each element that a residual connection adds in place."""
    found = executed.trace(model, input_shape)
    residuals = found.by(lambda path, operator: operator).get("aten.add_", executed.Cost())
    return Count(
        operations=found.total.macs + residuals.elementwise, not_counted=dict(found.unknown)
    )


RESIDUALS = Rule(
    name="macs + residuals",
    definition="macs, and one for each element of every residual addition.",
    source="inferred from the SKNets' printed GFLOPs",
    count=count_with_residuals,
)
