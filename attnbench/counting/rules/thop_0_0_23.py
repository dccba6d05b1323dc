"""The rule of thop 0.0.23 (July 2019), with which the ECA paper's GFLOPs were printed.

Derived from the figures that it printed, and stated here as a rule of this suite. It differs
from the present package in four terms:

- a ReLU or ReLU6 module counts one for each element, but a module that is called several times
  keeps only its last call: torchvision's bottleneck shares one ReLU, so a block counts its last;
- the same goes for every module that is called several times;
- a linear layer counts its additions beside its multiplications, 2 * in_features - 1 an output;
- the sum is kept in single precision, so large totals are multiples of 256 or 512.

Equal to it: convolutions (with their bias), 4 an element for a batch norm, an average pooling
the elements of its window plus one division for each output, maximum pooling nothing.
"""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn

from attnbench.counting.dispatch import ModuleCost, trace_modules
from attnbench.counting.rule import Count, Input, Rule
from attnbench.counting.twin import twin


def _convolution(module: nn.Module, x: Tensor, out: Tensor) -> int:
    weight: Tensor = module.weight  # type: ignore[assignment]
    return out.numel() * (weight[0].numel() + (module.bias is not None))


def _per_input(module: nn.Module, x: Tensor, out: Tensor) -> int:
    return x.numel()


def _linear(module: nn.Linear, x: Tensor, out: Tensor) -> int:
    return out.numel() * (2 * module.in_features - 1)


def _average(module: nn.Module, x: Tensor, out: Tensor) -> int:
    window = module.kernel_size
    sizes = (window, window) if isinstance(window, int) else window
    return out.numel() * (prod(sizes) + 1)  # type: ignore[arg-type]


def _adaptive_average(module: nn.Module, x: Tensor, out: Tensor) -> int:
    window = (x.shape[-2] // out.shape[-2]) * (x.shape[-1] // out.shape[-1])
    return out.numel() * (window + 1)


COSTS: dict[type[nn.Module], ModuleCost] = {
    nn.Conv1d: _convolution,
    nn.Conv2d: _convolution,
    nn.BatchNorm2d: lambda module, x, out: 4 * x.numel(),
    **dict.fromkeys((nn.ReLU, nn.ReLU6), _per_input),
    nn.AvgPool2d: _average,
    nn.AdaptiveAvgPool2d: _adaptive_average,
    nn.Linear: _linear,
}


def count(model: nn.Module, given: Input) -> Count:
    """Add up the last call of every module of a known type, in single precision."""
    network, images = twin(model, given)
    calls, not_counted = trace_modules(network, images, lambda module: COSTS.get(type(module)))
    last = dict(calls)
    total = torch.zeros((), dtype=torch.float32, device="cpu")
    for module in network.modules():
        total += last.get(module, 0)
    return Count(operations=int(total), not_counted=not_counted)


RULE = Rule(
    name="thop 0.0.23",
    definition=(
        "As thop, but ReLU and ReLU6 1 an element, only the last call of a module that is called "
        "several times, 2 * in_features - 1 an output for Linear, and a sum in single precision."
    ),
    source="what the ECA paper used (its GFLOPs are divided by 2^30); re-derived",
    count=count,
)
