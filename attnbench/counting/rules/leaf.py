"""The rule of the SGE and SA papers' tables: leaf modules, by type."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from torch import Tensor, nn

from attnbench.counting.dispatch import ModuleCost, trace_modules
from attnbench.counting.rule import Count, Input, Rule
from attnbench.counting.twin import twin


def _convolution(module: nn.Conv2d, x: Tensor, out: Tensor) -> int:
    kernel = module.in_channels // module.groups * prod(module.kernel_size)
    return out.numel() * (kernel + (module.bias is not None))


def _linear(module: nn.Linear, x: Tensor, out: Tensor) -> int:
    return out.numel() * module.in_features


def _batch_norm(module: nn.BatchNorm2d, x: Tensor, out: Tensor) -> int:
    return (2 if module.affine else 1) * x.numel()


def _per_output(module: nn.Module, x: Tensor, out: Tensor) -> int:
    return out.numel()


def _per_input(module: nn.Module, x: Tensor, out: Tensor) -> int:
    return x.numel()


COSTS: dict[type[nn.Module], ModuleCost] = {
    nn.Conv2d: _convolution,
    nn.Linear: _linear,
    nn.BatchNorm2d: _batch_norm,
    **dict.fromkeys((nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.Upsample), _per_output),
    **dict.fromkeys((nn.MaxPool2d, nn.AvgPool2d), _per_input),
    **dict.fromkeys((nn.AdaptiveMaxPool2d, nn.AdaptiveAvgPool2d), _per_input),
}
"""By class, subclasses and parametrised layers included, as in the source. All else is zero:
other norms, other dimensions, sigmoid, softmax, Conv1d, functions, bare arithmetic."""


def count(model: nn.Module, given: Input) -> Count:
    """Sum the costs of the leaf modules in one forward."""
    return count_by(COSTS, *twin(model, given))


def count_by(
    costs: Mapping[type[nn.Module], ModuleCost], network: nn.Module, images: Tensor
) -> Count:
    """Count by another table; the network is a twin and keeps the hooks."""

    def cost_of(module: nn.Module) -> ModuleCost | None:
        return next((costs[kind] for kind in costs if isinstance(module, kind)), None)

    calls, not_counted = trace_modules(network, images, cost_of)
    return Count(operations=sum(operations for _, operations in calls), not_counted=not_counted)


RULE = Rule(
    name="leaf",
    definition=(
        "By leaf module: MACs of Conv2d (plus one an output where it has a bias) and of Linear "
        "(its bias not), 2 an element for a BatchNorm2d, 1 without weight and bias; 1 an output "
        "for ReLU and its kin and for Upsample, 1 an input for a 2d pooling module; else 0."
    ),
    source="implus/PytorchInsight flops_counter.py, which printed the SGE and SA papers' tables",
    count=count,
)
