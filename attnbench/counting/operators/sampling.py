"""Operators that resample a map: interpolation, grids, regions, Fourier transforms."""

from __future__ import annotations

from math import log2, prod
from typing import Any

from torch import Tensor

from attnbench.counting.operators.cost import Amount, Operator, per_output


def fourier(half: bool, of_output: bool = False) -> Amount:
    """Count 5 N log2 N for a complex transform of N numbers, half of it for a real one.

    The convention of FFTW's benchmarks (fftw.org/speed/method.html).
    """

    def amount(out: Tensor, x: Tensor, dims: list[int], *_: Any) -> int:
        real = out if of_output else x
        length = prod(real.shape[dim] for dim in dims)
        return round((2.5 if half else 5) * real.numel() * log2(length))

    return amount


def sampled_neighbours(out: Tensor, *args: Any) -> int:
    """Count, for each output, the four neighbours of every sample in its bin.

    Raises:
        ValueError: without a sampling ratio the number of samples depends on the boxes' values.
    """
    ratio: int = args[5]  # after features, boxes, scale, height and width
    if ratio <= 0:
        raise ValueError("roi_align without a sampling ratio: its cost depends on the boxes")
    return out.numel() * 4 * ratio * ratio


def interpolation(neighbours: int) -> Operator:
    """Weight and fold so many neighbours for each output."""
    return Operator(elementwise=per_output(neighbours), reductions=per_output(neighbours))


def antialiased(reach: int) -> Amount:
    """Count the weighted elements of the two passes, along rows and then along columns.

    ``reach`` is the filter's, 1 for bilinear and 2 for bicubic, in output elements where the map
    shrinks (PyTorch's bounds, ``UpSampleKernel.cpp``).
    """

    def amount(out: Tensor, x: Tensor, *_: Any) -> int:
        def weights(before: int, after: int) -> int:
            scale = before / after
            support = reach * max(scale, 1.0)
            centres = (scale * (i + 0.5) for i in range(after))
            return sum(
                min(int(centre + support + 0.5), before) - max(int(centre - support + 0.5), 0)
                for centre in centres
            )

        rows = x.shape[-2] * weights(x.shape[-1], out.shape[-1])
        columns = out.shape[-1] * weights(x.shape[-2], out.shape[-2])
        return prod(out.shape[:-2]) * (rows + columns)

    return amount


def grid_neighbours(out: Tensor, x: Tensor, grid: Tensor, mode: int, *_: Any) -> int:
    """Count the neighbours of each output: bilinear 4, nearest 0, bicubic 16."""
    return out.numel() * (4, 0, 16)[mode]


SAMPLING: dict[str, Operator] = {
    # Fourier transforms.
    "aten._fft_c2c": Operator(elementwise=fourier(half=False)),
    "aten._fft_r2c": Operator(elementwise=fourier(half=True)),
    "aten._fft_c2r": Operator(elementwise=fourier(half=True, of_output=True)),
    # A bin is the mean of its samples, a sample the weighted sum of four neighbours: weight them,
    # fold them, and divide once. As everywhere each tensor is read once, whole.
    "torchvision.roi_align": Operator(
        reductions=sampled_neighbours,
        elementwise=lambda out, *args: sampled_neighbours(out, *args) + out.numel(),
    ),
    # A row of the matrix, folded with each place's coordinates and a one.
    "aten.affine_grid_generator": Operator(
        macs=lambda out, theta, *_: out.numel() * theta.shape[-1]
    ),
    "aten.upsample_linear1d": interpolation(2),
    "aten.upsample_bilinear2d": interpolation(4),
    "aten.upsample_trilinear3d": interpolation(8),
    "aten.upsample_bicubic2d": interpolation(16),
    "aten.grid_sampler_2d": Operator(elementwise=grid_neighbours, reductions=grid_neighbours),
    "aten._upsample_bilinear2d_aa": Operator(elementwise=antialiased(1), reductions=antialiased(1)),
    "aten._upsample_bicubic2d_aa": Operator(elementwise=antialiased(2), reductions=antialiased(2)),
}
