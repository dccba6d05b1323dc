"""Exact learnable parameters."""

from __future__ import annotations

from torch import nn

from attnbench.counting.rule import Count, Rule, Shape


def count(model: nn.Module, input_shape: Shape) -> Count:
    """Elements of every parameter that takes a gradient, a shared one once."""
    return Count(params=sum(p.numel() for p in model.parameters() if p.requires_grad))


RULE = Rule(
    name="learnable",
    definition="Elements of every parameter that takes a gradient, bare ones included.",
    source="the papers' tables of parameters",
    count=count,
)
