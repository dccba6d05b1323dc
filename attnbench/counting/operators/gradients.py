"""Gradients of what moves, folds or resamples a map.

Each goes back to where the elements came from, and is added there; it is weighted before where the
forward weights. A window or a sample of several elements costs as much as in the forward.
"""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Any

from torch import Tensor

from attnbench.counting.operators.cost import Amount, Operator, per_input, rows
from attnbench.counting.operators.folding import adaptive_window
from attnbench.counting.operators.sampling import antialiased, grid_neighbours


def average_backward_sums(
    out: Tensor, grad: Tensor, x: Tensor, kernel: list[int], *_: Any, dims: int = 2
) -> int:
    """Add each gradient to all elements of its window."""
    return grad.numel() * prod(list(kernel) * (dims // len(kernel)))


def adaptive_backward_sums(out: Tensor, grad: Tensor, x: Tensor, dims: int = 2) -> int:
    """Add each gradient to all elements of its window, which may differ and overlap."""
    return adaptive_window(grad, x, dims=dims)


def grid_backward(out: Tensor, grad: Tensor, x: Tensor, grid: Tensor, mode: int, *rest: Any) -> int:
    """Go to the neighbours once for the map's gradient and once for each of two coordinates'."""
    mask: list[bool] = rest[-1]
    return grid_neighbours(grad, x, grid, mode) * (mask[0] + 2 * mask[1])


def antialiased_backward(reach: int) -> Amount:
    """Count what :func:`antialiased` does, with input and output exchanged."""
    forward = antialiased(reach)
    return lambda out, grad, *_: forward(grad, out)


def neighbours(count: int) -> Operator:
    """Weight each gradient for so many elements that were interpolated, and add it to them."""
    return Operator(elementwise=per_input(count), reductions=per_input(count))


def regions_backward(out: Tensor, grad: Tensor, *args: Any) -> int:
    """Count, for each gradient of a bin, the four neighbours of every sample in it.

    Raises:
        ValueError: without a sampling ratio the number of samples depends on the boxes' values.
    """
    ratio: int = args[8]  # after boxes, scale, height, width and the map's four sides
    if ratio <= 0:
        raise ValueError("roi_align without a sampling ratio: its cost depends on the boxes")
    return grad.numel() * 4 * ratio * ratio


GRADIENTS: dict[str, Operator] = {
    # Pooling, padding and windows give each gradient back to where it came from.
    **rows(
        """
        adaptive_max_pool2d_backward adaptive_max_pool3d_backward max_pool2d_with_indices_backward
        max_pool3d_with_indices_backward reflection_pad1d_backward reflection_pad2d_backward
        reflection_pad3d_backward replication_pad1d_backward replication_pad2d_backward
        replication_pad3d_backward unfold_backward
        """,
        Operator(reductions=per_input(1)),
    ),
    "aten.avg_pool2d_backward": Operator(
        elementwise=per_input(1), reductions=average_backward_sums
    ),
    "aten.avg_pool3d_backward": Operator(
        elementwise=per_input(1), reductions=partial(average_backward_sums, dims=3)
    ),
    "aten._adaptive_avg_pool2d_backward": Operator(
        elementwise=per_input(1), reductions=adaptive_backward_sums
    ),
    "aten._adaptive_avg_pool3d_backward": Operator(
        elementwise=per_input(1), reductions=partial(adaptive_backward_sums, dims=3)
    ),
    # Each gradient, weighted, to the neighbours that were interpolated.
    "aten.upsample_linear1d_backward": neighbours(2),
    "aten.upsample_bilinear2d_backward": neighbours(4),
    "aten.upsample_trilinear3d_backward": neighbours(8),
    "aten.upsample_bicubic2d_backward": neighbours(16),
    **rows(
        """
        upsample_nearest1d_backward upsample_nearest2d_backward upsample_nearest3d_backward
        _upsample_nearest_exact1d_backward _upsample_nearest_exact2d_backward
        _upsample_nearest_exact3d_backward
        """,
        Operator(reductions=per_input(1)),
    ),
    "aten._upsample_bilinear2d_aa_backward": Operator(
        elementwise=antialiased_backward(1), reductions=antialiased_backward(1)
    ),
    "aten._upsample_bicubic2d_aa_backward": Operator(
        elementwise=antialiased_backward(2), reductions=antialiased_backward(2)
    ),
    "aten.grid_sampler_2d_backward": Operator(elementwise=grid_backward, reductions=grid_backward),
    # Divided once, then weighted for the neighbours of each sample and added to them.
    "torchvision._roi_align_backward": Operator(
        reductions=regions_backward,
        elementwise=lambda out, grad, *args: regions_backward(out, grad, *args) + grad.numel(),
    ),
    **rows("diagonal_backward select_backward slice_backward", Operator()),
}
