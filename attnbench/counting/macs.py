"""Multiply-accumulates of convolutions and matrix products, and nothing else."""

from __future__ import annotations

from torch import nn

from attnbench.counting.operator_table import OPERATORS, nothing
from attnbench.counting.operators import Cost, watch
from attnbench.counting.rule import Count, Rule, Shape
from attnbench.counting.twin import meta_twin

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
