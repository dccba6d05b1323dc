"""What each operator costs: the whole table, for ``executed``.

The table holds the arithmetic. The rest follows from an operator's tensors, the same way for
all of them: every different tensor argument is read once (of a broadcast one, the elements that
it really has), every output is written once (one that is changed in place too), and the operator
is one kernel. Views and allocations are not here: they launch nothing and move nothing.
An operator that is in neither place is listed as not counted and never guessed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from math import ceil, floor, prod
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_leaves


@dataclass(frozen=True)
class Cost:
    """What operators cost together."""

    macs: int = 0
    elementwise: int = 0
    reductions: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    kernels: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def operations(self) -> int:
        """All arithmetic: a multiply-accumulate, an element-wise or a folded element is one."""
        return self.macs + self.elementwise + self.reductions


Amount = Callable[..., int]
"""From an operator's first output and its arguments to a number of operations."""


def nothing(out: Tensor, *args: Any) -> int:
    """Return 0: no arithmetic of that kind."""
    return 0


def per_output(times: int) -> Amount:
    """Count so many operations for each element of the output."""
    return lambda out, *args: times * out.numel()


def per_input(times: int) -> Amount:
    """Count so many operations for each element of the first argument."""
    return lambda out, x, *args: times * x.numel()


@dataclass(frozen=True)
class Operator:
    """One row of the table.

    ``overwrites``: the first argument is written without being read.
    """

    macs: Amount = nothing
    elementwise: Amount = nothing
    reductions: Amount = nothing
    overwrites: bool = False


def cost(row: Operator, out: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Cost:
    """Cost one call of an operator: its row of the table, and the traffic of its tensors."""
    outputs = [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]
    first = outputs[0]
    options = {key: value for key, value in kwargs.items() if key != "out"}
    inputs = tree_leaves((args[1:] if row.overwrites else args, options))
    read = {id(leaf): leaf for leaf in inputs if isinstance(leaf, Tensor)}
    return Cost(
        macs=row.macs(first, *args),
        elementwise=row.elementwise(first, *args),
        reductions=row.reductions(first, *args),
        bytes_read=sum(map(own_bytes, read.values())),
        bytes_written=sum(map(own_bytes, outputs)),
        kernels=1,
    )


def own_bytes(tensor: Tensor) -> int:
    """Return the bytes of the elements that a tensor really has; an expanded one repeats them."""
    elements = 1
    for size, stride in zip(tensor.shape, tensor.stride(), strict=True):
        elements *= size if stride or not size else 1
    return elements * tensor.element_size()


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


def window(out: Tensor, x: Tensor, kernel: Any, *_: Any) -> int:
    """Count the elements of the window of each output."""
    sizes = [kernel, kernel] if isinstance(kernel, int) else list(kernel) * (3 - len(kernel))
    return out.numel() * prod(sizes)


def sampled_neighbours(out: Tensor, *args: Any) -> int:
    """Count, for each output, the four neighbours of every sample in its bin.

    Raises:
        ValueError: without a sampling ratio the number of samples depends on the boxes' values.
    """
    ratio: int = args[5]  # after features, boxes, scale, height and width
    if ratio <= 0:
        raise ValueError("roi_align without a sampling ratio: its cost depends on the boxes")
    return out.numel() * 4 * ratio * ratio


def adaptive_window(out: Tensor, x: Tensor, *_: Any) -> int:
    """Count the elements of the windows, which may differ and overlap (PyTorch's bounds)."""
    spans = 1
    for before, after in zip(x.shape[-2:], out.shape[-2:], strict=True):
        ends = ((floor(i * before / after), ceil((i + 1) * before / after)) for i in range(after))
        spans *= sum(end - start for start, end in ends)
    return prod(out.shape[:-2]) * spans


def _rows(names: str, row: Operator) -> dict[str, Operator]:
    return {f"aten.{name}": row for name in names.split()}


OPERATORS: dict[str, Operator] = {
    # Multiply and accumulate.
    "aten.convolution": Operator(macs=convolution_macs, elementwise=convolution_bias),
    **_rows("mm bmm mv", Operator(macs=product_macs)),
    "aten.dot": Operator(macs=per_input(1)),
    **_rows("addmm addmv baddbmm", Operator(macs=added_product_macs, elementwise=per_output(1))),
    # One operation for each element of the output, whatever the function.
    **_rows(
        """
        abs abs_ add add_ ceil clamp clamp_ clamp_min clamp_min_ cos div div_ elu elu_ eq erf exp
        exp_ floor ge gelu gt hardsigmoid hardsigmoid_ hardswish hardswish_ hardtanh hardtanh_ le
        leaky_relu leaky_relu_ log lt masked_fill maximum minimum mish mul mul_ ne neg neg_ pow
        _prelu_kernel floor_divide reciprocal relu relu_ round rsqrt rsub sigmoid sigmoid_ sign
        silu silu_ sin softplus sqrt sqrt_ sub sub_ tanh tanh_ threshold threshold_ where
        """,
        Operator(elementwise=per_output(1)),
    ),
    # Multiply, then add.
    **_rows("addcmul addcmul_ lerp", Operator(elementwise=per_output(2))),
    # Fold elements into fewer, one operation for each element folded in.
    **_rows("sum amax amin max min argmax argmin prod", Operator(reductions=per_input(1))),
    "aten.mean": Operator(reductions=per_input(1), elementwise=per_output(1)),  # and divide
    # A mean, then squared deviations and their sum; the deviation takes a root at the end.
    **_rows("var var_mean", Operator(reductions=per_input(2), elementwise=per_input(2))),
    "aten.std": Operator(
        reductions=per_input(2), elementwise=lambda out, x, *args: 2 * x.numel() + out.numel()
    ),
    # Maximum and sum; subtract, exponentiate, and divide (or subtract the logarithm).
    **_rows(
        "_softmax _safe_softmax _log_softmax",
        Operator(reductions=per_input(2), elementwise=per_output(3)),
    ),
    # In evaluation a batch norm is a multiplication and an addition by known numbers.
    **_rows(
        "native_batch_norm cudnn_batch_norm",
        Operator(reductions=batch_statistics, elementwise=per_output(2)),
    ),
    "aten._native_batch_norm_legit_no_training": Operator(elementwise=per_output(2)),
    # Mean and variance of what stands there, then the normalisation.
    "aten.native_group_norm": Operator(reductions=per_input(2), elementwise=normalisation),
    "aten.native_layer_norm": Operator(reductions=per_input(2), elementwise=layer_normalisation),
    # Pooling folds each window; an average divides once for each output.
    "aten.max_pool2d_with_indices": Operator(reductions=window),
    "aten.avg_pool2d": Operator(reductions=window, elementwise=per_output(1)),
    "aten.adaptive_max_pool2d": Operator(reductions=adaptive_window),
    "aten._adaptive_avg_pool2d": Operator(reductions=adaptive_window, elementwise=per_output(1)),
    # A bin is the mean of its samples, a sample the weighted sum of four neighbours: weight them,
    # fold them, and divide once. As everywhere each tensor is read once, whole.
    "torchvision.roi_align": Operator(
        reductions=sampled_neighbours,
        elementwise=lambda out, *args: sampled_neighbours(out, *args) + out.numel(),
    ),
    # Move, and compute nothing.
    **_rows(
        """
        _to_copy cat clone constant_pad_nd embedding full full_like gather index index_select
        new_zeros ones ones_like repeat roll scalar_tensor stack upsample_nearest2d zeros
        zeros_like
        """,
        Operator(),
    ),
    **_rows("copy_ fill_ zero_", Operator(overwrites=True)),
}
