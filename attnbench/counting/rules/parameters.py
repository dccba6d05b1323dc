"""Exact parameters: learnable, and as a model file stores them."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from attnbench.counting.rule import Count, Input, Rule


def count(model: nn.Module, given: Input) -> Count:
    """Count the elements of every parameter that takes a gradient, a shared one once."""
    return Count(params=sum(p.numel() for p in model.parameters() if p.requires_grad))


RULE = Rule(
    name="learnable",
    definition="Elements of every parameter that takes a gradient, bare ones included.",
    source="the papers' tables of parameters",
    count=count,
)


def count_stored(model: nn.Module, given: Input) -> Count:
    """Count learnable parameters and the running mean and variance of every batch norm."""
    params = count(model, given).params or 0
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    statistics = (value for norm in norms for value in (norm.running_mean, norm.running_var))
    return Count(params=params + sum(v.numel() for v in statistics if v is not None))


STORED = Rule(
    name="stored",
    definition="learnable, and the running mean and variance of every batch norm.",
    source="inferred from SKNet-101's printed parameters; a Caffe model stores them as blobs",
    count=count_stored,
)
