"""Operators that fold many elements into few: sums, statistics, sorting, pooling."""

from __future__ import annotations

from functools import partial
from math import ceil, floor, log2, prod
from typing import Any

from torch import Tensor

from attnbench.counting.operators.cost import Operator, per_input, per_output, rows


def sorting(out: Tensor, x: Tensor, dim: int = -1, *_: Any) -> int:
    """Compare each element as often as a merge sort would: log2 of the length, rounded up."""
    return x.numel() * ceil(log2(max(x.shape[dim], 1))) if x.dim() else 0


def binary_search(out: Tensor, bounds: Tensor) -> int:
    """Compare each number with as many bounds as halving their length takes: log2, rounded up."""
    return out.numel() * ceil(log2(bounds.shape[-1] + 1))


def window(out: Tensor, x: Tensor, kernel: Any, *_: Any) -> int:
    """Count the elements of the window of each output."""
    sizes = [kernel, kernel] if isinstance(kernel, int) else list(kernel) * (3 - len(kernel))
    return out.numel() * prod(sizes)


def window3d(out: Tensor, x: Tensor, kernel: list[int], *_: Any) -> int:
    """Count the elements of the window of each output, in three dimensions."""
    return out.numel() * prod(list(kernel) * (3 // len(kernel)))


def adaptive_window(out: Tensor, x: Tensor, *_: Any, dims: int = 2) -> int:
    """Count the elements of the windows, which may differ and overlap (PyTorch's bounds)."""
    spans = 1
    for before, after in zip(x.shape[-dims:], out.shape[-dims:], strict=True):
        ends = ((floor(i * before / after), ceil((i + 1) * before / after)) for i in range(after))
        spans *= sum(end - start for start, end in ends)
    return prod(out.shape[:-dims]) * spans


FOLDING: dict[str, Operator] = {
    # Fold elements into fewer, one operation for each element folded in.
    **rows("sum amax amin max min argmax argmin prod any all", Operator(reductions=per_input(1))),
    **rows(
        "cumsum cumprod cummax cummin nansum topk kthvalue median",
        Operator(reductions=per_input(1)),
    ),
    **rows("sort mode", Operator(reductions=sorting)),
    "aten._unique2": Operator(reductions=lambda out, x, *_: sorting(out, x.flatten())),
    "aten.bucketize": Operator(reductions=lambda out, x, bounds, *_: binary_search(out, bounds)),
    "aten.searchsorted": Operator(reductions=lambda out, bounds, *_: binary_search(out, bounds)),
    "aten.col2im": Operator(reductions=per_input(1)),
    **rows(
        "scatter_add scatter_add_ scatter_reduce scatter_reduce_",
        Operator(reductions=lambda out, x, dim, index, *_: index.numel()),
    ),
    **rows(
        "index_add index_add_ index_reduce",
        Operator(reductions=lambda out, x, dim, index, source, *_: source.numel()),
    ),
    # Square, fold, and take the root.
    **rows(
        "linalg_vector_norm norm",
        Operator(
            reductions=per_input(1), elementwise=lambda out, x, *args: x.numel() + out.numel()
        ),
    ),
    # That norm of each row, its quotient with the length, and their product with the row.
    "aten._weight_norm_interface": Operator(
        reductions=per_input(1), elementwise=lambda out, v, g, *_: 2 * v.numel() + 2 * g.numel()
    ),
    # Maximum and sum; subtract and exponentiate; take the logarithm and add the maximum.
    **rows(
        "logsumexp logcumsumexp",
        Operator(
            reductions=per_input(2),
            elementwise=lambda out, x, *args: 2 * x.numel() + 2 * out.numel(),
        ),
    ),
    "aten.mean": Operator(reductions=per_input(1), elementwise=per_output(1)),  # and divide
    # A mean, then squared deviations and their sum; the deviation takes a root at the end.
    **rows("var var_mean", Operator(reductions=per_input(2), elementwise=per_input(2))),
    **rows(
        "std std_mean",
        Operator(
            reductions=per_input(2), elementwise=lambda out, x, *args: 2 * x.numel() + out.numel()
        ),
    ),
    # Pooling folds each window; an average divides once for each output.
    "aten.max_pool2d_with_indices": Operator(reductions=window),
    "aten.avg_pool2d": Operator(reductions=window, elementwise=per_output(1)),
    "aten.adaptive_max_pool2d": Operator(reductions=adaptive_window),
    "aten._adaptive_avg_pool2d": Operator(reductions=adaptive_window, elementwise=per_output(1)),
    "aten.max_pool3d_with_indices": Operator(reductions=window3d),
    "aten.avg_pool3d": Operator(reductions=window3d, elementwise=per_output(1)),
    "aten.adaptive_max_pool3d": Operator(reductions=partial(adaptive_window, dims=3)),
    "aten._adaptive_avg_pool3d": Operator(
        reductions=partial(adaptive_window, dims=3), elementwise=per_output(1)
    ),
    "aten.aminmax": Operator(reductions=per_input(2)),
    "aten.count_nonzero": Operator(reductions=per_input(1), elementwise=per_input(1)),
    "aten.trace": Operator(reductions=lambda out, x, *_: min(x.shape)),
    # For each pair of rows: subtract, raise, fold, and take the root.
    **rows(
        "_cdist_forward _pdist_forward",
        Operator(
            reductions=lambda out, x, *_: out.numel() * x.shape[-1],
            elementwise=lambda out, x, *_: out.numel() * (2 * x.shape[-1] + 1),
        ),
    ),
}
