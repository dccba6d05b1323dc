"""What a rule left at zero without a reason in its definition, so that its figure may be too low.

``Count.not_counted`` lists all that ran and was left at zero. Most of it is zero by definition:
``macs`` counts no addition, ``leaf`` no function. What may hold products (a convolution, a matrix
product, attention, a Fourier transform, any operator that is not in the table) is zero by no
rule's definition, wherever it ran: a limit on such a figure must not hold.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch._ops import OpOverloadPacket

from attnbench.counting.operators import OPERATORS
from attnbench.counting.operators.cost import nothing

TRANSFORMS = {"aten._fft_c2c", "aten._fft_r2c", "aten._fft_c2r"}
"""They stand for convolutions, and no rule of products counts them."""

FUNCTIONS = """
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d
    alpha_dropout argsort avg_pool1d broadcast_tensors concat concatenate
    diff dropout dropout_ feature_dropout fliplr flipud fmax fmin greater
    greater_equal instance_norm isfinite less less_equal log_sigmoid
    log_softmax max_pool1d max_pool1d_with_indices max_pool2d max_pool3d meshgrid
    multiply negative not_equal one_hot pad pairwise_distance prelu relu6 relu6_
    repeat_interleave rrelu selu selu_ softmax special_expit square square_ subtract
    take_along_dim tile
"""
"""Functions of PyTorch without products that are in no table of operators: they are taken apart
before they run, and fvcore lists them whole."""

_WITHOUT_PRODUCTS = frozenset(FUNCTIONS.split())


def missed(rule: str, not_counted: Mapping[str, int] | None) -> dict[str, int]:
    """Return what a rule left at zero though it may hold what the rule counts, with its calls.

    ``executed`` counts all that runs: whatever it lists is missing. Any other rule counts products.
    """
    listed = not_counted or {}
    if rule == "executed":
        return dict(listed)
    return {name: times for name, times in listed.items() if may_multiply(name)}


def may_multiply(name: str) -> bool:
    """Return whether an operator holds products, or is unknown and could (``aten::`` is fvcore's).

    Convolutions by Fourier transform are among them.
    """
    operator = name.replace("::", ".")
    if operator in OPERATORS:
        return OPERATORS[operator].macs is not nothing or operator in TRANSFORMS
    return operator.removeprefix("aten.") not in _WITHOUT_PRODUCTS and not _returns_a_view(operator)


def _returns_a_view(operator: str) -> bool:
    library, _, name = operator.partition(".")
    packet = getattr(getattr(torch.ops, library), name, None)
    if not isinstance(packet, OpOverloadPacket):
        return False
    schemas = (getattr(packet, overload)._schema for overload in packet.overloads())
    returned = (value.alias_info for schema in schemas for value in schema.returns)
    return any(alias is not None and not alias.is_write for alias in returned)
