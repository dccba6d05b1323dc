"""Operators that normalise: statistics of what stands there, then each element by them."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from attnbench.counting.operators.cost import Operator, per_input, per_output, rows


def normalisation(out: Tensor, x: Tensor, *parameters: Any) -> int:
    """Subtract and divide; multiply by a weight and add a bias where they are given."""
    affine = sum(isinstance(value, Tensor) for value in parameters[:2])
    return (2 + affine) * out.numel()


def layer_normalisation(out: Tensor, x: Tensor, shape: Any, *parameters: Any) -> int:
    """As :func:`normalisation`; the normalised shape stands before the parameters."""
    return normalisation(out, x, *parameters)


def batch_statistics(out: Tensor, x: Tensor, *rest: Any) -> int:
    """Count a mean and a variance over the elements in training; in evaluation none."""
    training = rest[4]  # after weight, bias, running mean and variance
    return 2 * x.numel() if training else 0


NORMALISATION: dict[str, Operator] = {
    # Maximum and sum; subtract, exponentiate, and divide (or subtract the logarithm).
    **rows(
        "_softmax _safe_softmax _log_softmax",
        Operator(reductions=per_input(2), elementwise=per_output(3)),
    ),
    # The same behind a mask, by which each is chosen.
    "aten._masked_softmax": Operator(reductions=per_input(2), elementwise=per_output(4)),
    # In evaluation a batch norm is a multiplication and an addition by known numbers.
    **rows(
        "native_batch_norm cudnn_batch_norm",
        Operator(reductions=batch_statistics, elementwise=per_output(2)),
    ),
    "aten._native_batch_norm_legit_no_training": Operator(elementwise=per_output(2)),
    # Mean and variance of what stands there, then the normalisation.
    "aten.native_group_norm": Operator(reductions=per_input(2), elementwise=normalisation),
    "aten.native_layer_norm": Operator(reductions=per_input(2), elementwise=layer_normalisation),
}
