"""Operators that run in training alone: losses, gradients and what makes random numbers.

Those of what moves, folds or resamples a map are in ``gradients.py``.

A gradient of a convolution or a product costs as many multiply-accumulates as its forward, once for
each gradient that is asked for. That of an element-wise function is one operation an element, as
the function is.
"""

from __future__ import annotations

from math import prod
from typing import Any

from torch import Tensor

from attnbench.counting.operators.cost import Operator, per_input, per_output, rows
from attnbench.counting.operators.products import scores


def convolution_backward_macs(
    out: Tensor, grad: Tensor, x: Tensor, weight: Tensor, *rest: Any
) -> int:
    """Count the forward's once for the input's gradient and once for the weight's, if asked."""
    mask: list[bool] = rest[7]
    transposed: bool = rest[4]  # after the bias' shape, stride, padding, dilation
    forward = (x if transposed else grad).numel() * prod(weight.shape[1:])
    return forward * (mask[0] + mask[1])


def convolution_backward_bias(out: Tensor, grad: Tensor, *rest: Any) -> int:
    """Fold the gradient into that of the bias, if asked."""
    mask: list[bool] = rest[-1]
    return grad.numel() if mask[2] else 0


def batch_norm_backward(out: Tensor, grad: Tensor, x: Tensor, *rest: Any) -> int:
    """Centre and multiply for the folded sum; then, for the input's gradient, 5 or a scale."""
    mask: list[bool] = rest[7]
    train: bool = rest[5]  # after weight, 2 running and 2 saved statistics
    if not train:
        return grad.numel() * (2 * mask[1] + mask[0])
    return grad.numel() * (2 + 5 * mask[0])


def layer_norm_backward(out: Tensor, grad: Tensor, *args: Any) -> int:
    """Two folded products, four for the input's gradient; four more with a weight."""
    return grad.numel() * (5 if args[4] is None else 9)


def layer_norm_backward_sums(out: Tensor, grad: Tensor, *args: Any) -> int:
    """Fold two sums for the input's gradient, one for the weight's and one for the bias'."""
    mask: list[bool] = args[-1]
    return grad.numel() * (2 + mask[1] + mask[2])


def attention_backward_macs(
    out: Tensor, grad: Tensor, query: Tensor, key: Tensor, value: Tensor, *_: Any
) -> int:
    """Count the scores again, and the four gradients of the two products."""
    return scores(query, key) * (3 * query.shape[-1] + 2 * value.shape[-1])


TRAINING: dict[str, Operator] = {
    "aten.convolution_backward": Operator(
        macs=convolution_backward_macs, reductions=convolution_backward_bias
    ),
    # Scores to weights (3), and to their gradients (3); the gradient's product with the output.
    **rows(
        """
        _scaled_dot_product_flash_attention_for_cpu_backward
        _scaled_dot_product_flash_attention_backward
        """,
        Operator(
            macs=attention_backward_macs,
            elementwise=lambda out, grad, q, k, *_: 6 * scores(q, k) + grad.numel(),
            reductions=per_input(1),
        ),
    ),
    **rows(
        """
        elu_backward gelu_backward hardshrink_backward hardsigmoid_backward hardswish_backward
        hardtanh_backward leaky_relu_backward log_sigmoid_backward logit_backward mish_backward
        rrelu_with_noise_backward sigmoid_backward silu_backward softplus_backward
        softshrink_backward tanh_backward threshold_backward
        """,
        Operator(elementwise=per_output(1)),
    ),
    "aten._prelu_kernel_backward": Operator(elementwise=per_output(2)),  # of input and weight
    "aten.glu_backward": Operator(elementwise=per_output(1)),
    # Two folded sums of the gradient, and what is made of them.
    "aten.native_batch_norm_backward": Operator(
        reductions=per_input(2), elementwise=batch_norm_backward
    ),
    "aten.native_group_norm_backward": Operator(reductions=per_input(2), elementwise=per_input(5)),
    "aten.native_layer_norm_backward": Operator(
        reductions=layer_norm_backward_sums, elementwise=layer_norm_backward
    ),
    # A folded product with the output; subtract and multiply (or exponentiate).
    **rows(
        "_softmax_backward_data _log_softmax_backward_data",
        Operator(reductions=per_input(1), elementwise=per_input(3)),
    ),
    # The loss of each image is one element of its row; their mean.
    "aten.nll_loss_forward": Operator(
        reductions=lambda out, x, target, *_: target.numel(),
        elementwise=lambda out, x, target, *_: target.numel() + 1,
    ),
    "aten.nll_loss_backward": Operator(elementwise=lambda out, grad, x, target, *_: target.numel()),
    **rows("embedding_dense_backward", Operator(reductions=per_input(1))),
    # A random number for each element; dropout scales what it keeps.
    **rows(
        "bernoulli bernoulli_ normal_ rand rand_like randn uniform_",
        Operator(elementwise=per_output(1)),
    ),
    **rows("native_dropout native_dropout_backward", Operator(elementwise=per_output(2))),
}
