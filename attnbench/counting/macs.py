"""Multiply-accumulates of convolutions and matrix products, and nothing else."""

from __future__ import annotations

from math import prod
from typing import Any

from torch import Tensor, nn

from .operators import Cost, watch
from .rule import Count, Rule, Shape
from .twin import meta_twin


def _convolution(out: Tensor, x: Tensor, weight: Tensor, *rest: Any) -> int:
    transposed = rest[4]  # after bias, stride, padding, dilation
    positions = x if transposed else out
    return positions.numel() * prod(weight.shape[1:])


def _product(out: Tensor, left: Tensor, right: Tensor) -> int:
    return out.numel() * left.shape[-1]


def _added_product(out: Tensor, added: Tensor, left: Tensor, *_: Any) -> int:
    return out.numel() * left.shape[-1]


COSTS: dict[str, Cost] = {
    "aten.convolution": _convolution,
    "aten.mm": _product,
    "aten.bmm": _product,
    "aten.mv": _product,
    "aten.dot": lambda out, left, right: left.numel(),
    "aten.addmm": _added_product,
    "aten.baddbmm": _added_product,
    "aten.addmv": _added_product,
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
