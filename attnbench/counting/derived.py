"""Rules that are another rule and one term more or less, where a published figure needs it."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from attnbench.counting import executed, fvcore, learnable
from attnbench.counting.rule import Count, Rule, Shape


def count_stored(model: nn.Module, input_shape: Shape) -> Count:
    """Learnable parameters and the running mean and variance of every batch norm."""
    params = learnable.count(model, input_shape).params or 0
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    statistics = (value for norm in norms for value in (norm.running_mean, norm.running_var))
    return Count(params=params + sum(v.numel() for v in statistics if v is not None))


def count_with_residuals(model: nn.Module, input_shape: Shape) -> Count:
    """MACs, and one for each element that a residual connection adds in place."""
    found = executed.trace(model, input_shape)
    residuals = found.by(lambda path, operator: operator).get("aten.add_", executed.Cost())
    return Count(
        operations=found.total.macs + residuals.elementwise, not_counted=dict(found.unknown)
    )


def count_by_mean(model: nn.Module, input_shape: Shape) -> Count:
    """fvcore's figure less the average pooling modules, as if they were calls of mean()."""
    whole = fvcore.analysis(model, input_shape)
    pooled = whole.by_operator().get("adaptive_avg_pool2d", 0)
    return Count(operations=int(whole.total() - pooled), not_counted=fvcore.uncounted(whole))


STORED = Rule(
    name="stored",
    definition="learnable, and the running mean and variance of every batch norm.",
    source="inferred from SKNet-101's printed parameters; a Caffe model stores them as blobs",
    count=count_stored,
)
RESIDUALS = Rule(
    name="macs + residuals",
    definition="macs, and one for each element of every residual addition.",
    source="inferred from the SKNets' printed GFLOPs",
    count=count_with_residuals,
)
BY_MEAN = Rule(
    name="fvcore, mean()",
    definition="fvcore, less average pooling modules: what it gives where mean() stands for them.",
    source="timm spells its pooling with mean(), which fvcore does not count",
    count=count_by_mean,
)
