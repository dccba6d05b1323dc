"""Ways of counting what a network costs: one file a rule, one table of them.

Nobody's "GFLOPs" is the same as the next paper's; a count is never shown without its rule.
"""

from __future__ import annotations

from torch import nn

from . import (
    derived,
    executed,
    fvcore,
    leaf,
    learnable,
    macs,
    mmdetection,
    thop,
    thop_0_0_23,
    torch,
)
from .rule import Count, Rule, Shape

__all__ = ["DERIVED", "RULES", "Count", "Rule", "Shape", "count_all"]

RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        learnable.RULE,
        macs.RULE,
        leaf.RULE,
        thop.RULE,
        thop_0_0_23.RULE,
        fvcore.RULE,
        torch.RULE,
        executed.RULE,
    )
}
"""The rules that every run counts by."""

DERIVED: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        fvcore.TRAINING,
        derived.STORED,
        derived.RESIDUALS,
        derived.BY_MEAN,
        mmdetection.RULE,
        mmdetection.LEARNABLE,
    )
}
"""Rules that no run needs, but a published figure or a comparison does."""


def count_all(model: nn.Module, input_shape: Shape) -> dict[str, Count]:
    """The network under every rule, by the rule's name."""
    return {name: rule.count(model, input_shape) for name, rule in RULES.items()}
