"""Gradients of what moves, folds or resamples a map: each operator's arithmetic, by hand."""

from itertools import product

import pytest
import torch
from torch.nn import functional
from torchvision.ops import roi_align

from attnbench.counting.dispatch import Trace
from attnbench.counting.operators import OPERATORS

SHAPE = (2, 3, 4, 6)  # 144 elements
POINTS = torch.zeros(2, 5, 7, 2)  # 35 samples of each of 6 maps, 210
BOXES = [torch.tensor([[0.0, 0.0, 3.0, 3.0]])] * 2


def volume(function):
    return lambda x: function(x[None])  # (1, 2, 3, 4, 6)


def interpolated(size, **how):
    return lambda x: functional.interpolate(x, size, **how)


# The gradient's operator, the function, its element-wise operations, its reductions.
BY_HAND = {
    "maxima of windows in space": (
        "max_pool3d_with_indices_backward",
        volume(lambda x: functional.max_pool3d(x, (1, 2, 2))),
        *(0, 2 * 3 * 2 * 3),
    ),
    "maxima of regions in space": (
        "adaptive_max_pool3d_backward",
        volume(lambda x: functional.adaptive_max_pool3d(x, 1)),
        *(0, 2),
    ),
    # 36 windows of 2 * 2: divide each gradient, and add it to four
    "averages of windows": (
        "avg_pool2d_backward",
        lambda x: functional.avg_pool2d(x, 2),
        *(36, 36 * 4),
    ),
    # 12 windows of 3 * 2 * 2
    "averages of windows in space": (
        "avg_pool3d_backward",
        volume(lambda x: functional.avg_pool3d(x, (3, 2, 2))),
        *(12, 12 * 12),
    ),
    # 6 maps to 3 * 2: three windows of 2 of 4 rows (0-1, 1-2, 2-3) times two of 3 columns
    "averages of regions": (
        "_adaptive_avg_pool2d_backward",
        lambda x: functional.adaptive_avg_pool2d(x, (3, 2)),
        *(36, 6 * (3 * 2) * (2 * 3)),
    ),
    # 2 maps to 2 * 2 * 2: two windows of 2 of 3, two of 2 of 4, two of 3 of 6
    "averages of regions in space": (
        "_adaptive_avg_pool3d_backward",
        volume(lambda x: functional.adaptive_avg_pool3d(x, 2)),
        *(16, 2 * (2 * 2) * (2 * 2) * (2 * 3)),
    ),
    # 2 * 3 * 6 * 10 elements, of which those outside are added to those inside
    "reflections": (
        "reflection_pad2d_backward",
        lambda x: functional.pad(x, (2, 2, 1, 1), mode="reflect"),
        *(0, 360),
    ),
    "repeated edges in space": (
        "replication_pad3d_backward",
        volume(lambda x: functional.pad(x, (1, 1, 0, 0, 0, 0), mode="replicate")),
        *(0, 144 // 6 * 8),
    ),
    # Windows of 2 that begin at 0, 2 and 4 of 6
    "windows": ("unfold_backward", lambda x: x.unfold(3, 2, 2), 0, 144),
    "a diagonal": ("diagonal_backward", lambda x: x.diagonal(dim1=2, dim2=3), 0, 0),
    # 6 maps of 7 * 9; four neighbours
    "bilinear": (
        "upsample_bilinear2d_backward",
        interpolated((7, 9), mode="bilinear"),
        *(378 * 4, 378 * 4),
    ),
    "linear": (
        "upsample_linear1d_backward",
        lambda x: functional.interpolate(x[0], 9, mode="linear"),
        *(3 * 4 * 9 * 2, 3 * 4 * 9 * 2),
    ),
    "trilinear": (
        "upsample_trilinear3d_backward",
        volume(interpolated((3, 4, 7), mode="trilinear")),
        *(2 * 84 * 8, 2 * 84 * 8),
    ),
    "nearest": ("upsample_nearest2d_backward", interpolated((7, 9)), 0, 378),
    "exactly nearest": (
        "_upsample_nearest_exact2d_backward",
        interpolated((7, 9), mode="nearest-exact"),
        *(0, 378),
    ),
    # As the forward: along 4 rows 3 + 4 + 3 weights for 3 of 6 columns, then along 3 columns 3 + 3
    "antialiased": (
        "_upsample_bilinear2d_aa_backward",
        interpolated((2, 3), mode="bilinear", antialias=True),
        *(6 * (4 * 10 + 3 * 6), 6 * (4 * 10 + 3 * 6)),
    ),
    # Four neighbours of 210 samples, for the map alone: the points ask for no gradient
    "a grid": (
        "grid_sampler_2d_backward",
        lambda x: functional.grid_sample(x, POINTS, align_corners=False),
        *(210 * 4, 210 * 4),
    ),
    # ... and for both coordinates of points that do
    "a grid with its points": (
        "grid_sampler_2d_backward",
        lambda x: functional.grid_sample(x, POINTS + x.mean(), align_corners=False),
        *(210 * 4 * 3, 210 * 4 * 3),
    ),
    # 2 * 3 * 2 * 2 bins of 2 * 2 samples; one division
    "regions of boxes": (
        "torchvision._roi_align_backward",
        lambda x: roi_align(x, BOXES, 2, sampling_ratio=2),
        *(24 * 16 + 24, 24 * 16),
    ),
    **{
        name: (f"{name}_backward", function, 144, 0)
        for name, function in (
            ("hardshrink", functional.hardshrink),
            ("softshrink", functional.softshrink),
            ("log_sigmoid", functional.logsigmoid),
            ("rrelu_with_noise", lambda x: functional.rrelu(x, training=True)),
        )
    },
}


@pytest.mark.parametrize(
    ("operator", "function", "elementwise", "reductions"), BY_HAND.values(), ids=BY_HAND
)
def test_a_gradient_costs_what_it_costs_by_hand(operator, function, elementwise, reductions):
    recorded = Trace(OPERATORS)
    out = function(torch.rand(SHAPE, requires_grad=True))
    with recorded:
        out.backward(torch.ones_like(out))
    cost = recorded.by(lambda _, name: name)[operator if "." in operator else f"aten.{operator}"]
    assert (cost.macs, cost.elementwise, cost.reductions) == (0, elementwise, reductions)
    assert cost.kernels == 1
    assert not recorded.not_counted


def test_a_region_without_a_sampling_ratio_has_no_known_cost():
    out = roi_align(torch.rand(SHAPE, requires_grad=True), BOXES, 2)
    with Trace(OPERATORS), pytest.raises(ValueError, match="depends on the boxes"):
        out.sum().backward()


def test_gradients_that_pad_or_enlarge_are_known_in_every_number_of_dimensions():
    kinds = ("reflection_pad", "replication_pad", "upsample_nearest", "_upsample_nearest_exact")
    names = {f"aten.{kind}{dims}d_backward" for kind, dims in product(kinds, (1, 2, 3))}
    assert names <= OPERATORS.keys()
