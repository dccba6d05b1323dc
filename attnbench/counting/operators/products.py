"""Operators that multiply and accumulate: convolutions, products, attention, recurrence."""

from __future__ import annotations

from math import prod
from typing import Any

from torch import Tensor

from attnbench.counting.operators.cost import Operator, per_input, per_output, rows


def convolution_macs(out: Tensor, x: Tensor, weight: Tensor, *rest: Any) -> int:
    """Count the kernel elements that meet each output, if transposed each input."""
    transposed = rest[4]  # after bias, stride, padding, dilation
    return (x if transposed else out).numel() * prod(weight.shape[1:])


def convolution_bias(out: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None, *_: Any) -> int:
    """Count one addition for each output where there is a bias."""
    return 0 if bias is None else out.numel()


def product_macs(out: Tensor, left: Tensor, right: Tensor) -> int:
    """Fold a row of the left with a column of the right for each output."""
    return out.numel() * left.shape[-1]


def added_product_macs(out: Tensor, added: Tensor, left: Tensor, *_: Any) -> int:
    """Count as a product; what is added is element-wise."""
    return out.numel() * left.shape[-1]


def deformable_macs(out: Tensor, x: Tensor, weight: Tensor, *_: Any) -> int:
    """Count as a convolution of the sampled values."""
    return out.numel() * prod(weight.shape[1:])


def deformable_neighbours(out: Tensor, x: Tensor, weight: Tensor, *_: Any) -> int:
    """Count the 4 neighbours of each sample: one a position, input channel and kernel element."""
    positions = out.numel() // out.shape[1]
    return 4 * positions * x.shape[1] * prod(weight.shape[2:])


def deformable_elementwise(out: Tensor, *args: Any) -> int:
    """Weight the neighbours, multiply each sample by its mask if there is one; add the bias."""
    neighbours = deformable_neighbours(out, *args)
    return neighbours + (neighbours // 4 if args[-1] else 0) + out.numel()


def scores(query: Tensor, key: Tensor) -> int:
    """Count the scores of attention: a query with a key, in each image and head."""
    return prod(query.shape[:-1]) * key.shape[-2]


def attention_macs(out: Tensor, query: Tensor, key: Tensor, value: Tensor, *_: Any) -> int:
    """Multiply queries with keys, and weights with values; all of them under a mask too."""
    return scores(query, key) * (query.shape[-1] + value.shape[-1])


def lstm_macs(out: Tensor, x: Tensor, inner: Tensor, recurrent: Tensor, *_: Any) -> int:
    """Multiply input and state of each image and step, (steps, batch, channels), by all gates."""
    return prod(x.shape[:2]) * (inner.numel() + recurrent.numel())


def lstm_elementwise(out: Tensor, x: Tensor, inner: Tensor, *rest: Any) -> int:
    """Add both products and two biases in 4 gates, activate them; then 5 for cell and state."""
    has_biases: bool = rest[10]
    return prod(x.shape[:2]) * (inner.shape[0] // 4) * (4 * (1 + 2 * has_biases) + 4 + 5)


PRODUCTS: dict[str, Operator] = {
    # Multiply and accumulate.
    **rows(
        "convolution _convolution", Operator(macs=convolution_macs, elementwise=convolution_bias)
    ),
    **rows("mm bmm mv", Operator(macs=product_macs)),
    **rows("dot vdot", Operator(macs=per_input(1))),
    **rows("addmm addmv baddbmm", Operator(macs=added_product_macs, elementwise=per_output(1))),
    # The products of all matrices of a batch, added to one.
    "aten.addbmm": Operator(
        macs=lambda out, added, left, right, *_: left.numel() * right.shape[-1],
        elementwise=per_output(1),
    ),
    # Each position, with a 1 behind it, by the rows of the matrix.
    "aten.affine_grid_generator": Operator(
        macs=lambda out, matrix, *_: out.numel() * matrix.shape[-1]
    ),
    # Attention in one operator: products, a scale, a softmax.
    **rows(
        """
        _scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_flash_attention
        _scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention
        """,
        Operator(
            macs=attention_macs,
            elementwise=lambda out, query, key, *_: 4 * scores(query, key),
            reductions=lambda out, query, key, *_: 2 * scores(query, key),
        ),
    ),
    # Of queries, keys and values: add a bias to each, and scale the queries.
    "aten._transform_bias_rescale_qkv": Operator(elementwise=per_output(4)),
    "aten._addmm_activation": Operator(macs=added_product_macs, elementwise=per_output(2)),
    "aten.mkldnn_rnn_layer": Operator(macs=lstm_macs, elementwise=lstm_elementwise),
    "torchvision.deform_conv2d": Operator(
        macs=deformable_macs,
        elementwise=deformable_elementwise,
        reductions=deformable_neighbours,
    ),
    # nn.Bilinear: both inputs multiplied with each other, then folded with each output's matrix.
    "aten._trilinear": Operator(
        macs=lambda out, left, weight, *_: out.numel() * prod(weight.shape[1:]),
        elementwise=lambda out, left, weight, *_: out.numel() * prod(weight.shape[1:]),
    ),
}
