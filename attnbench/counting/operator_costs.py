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
from math import ceil, floor, log2, prod
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


def interpolation(neighbours: int) -> Operator:
    """Weight and fold so many neighbours for each output."""
    return Operator(elementwise=per_output(neighbours), reductions=per_output(neighbours))


def grid_neighbours(out: Tensor, x: Tensor, grid: Tensor, mode: int, *_: Any) -> int:
    """Count the neighbours of each output: bilinear 4, nearest 0, bicubic 16."""
    return out.numel() * (4, 0, 16)[mode]


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


def multi_head_scores(out: Tensor, query: Tensor, key: Tensor, *rest: Any) -> int:
    """Count the scores of all heads; their number stands after value and width."""
    heads: int = rest[2]
    return scores(query, key) * heads


def multi_head_macs(out: Tensor, query: Tensor, key: Tensor, *rest: Any) -> int:
    """Project queries, keys, values and the output; between, count as attention."""
    width: int = rest[1]
    tokens = 2 * query.numel() + 2 * key.numel()
    return tokens * width + 2 * scores(query, key) * width


def multi_head_elementwise(out: Tensor, query: Tensor, key: Tensor, *rest: Any) -> int:
    """Add four biases; scale the scores, and three for the softmax."""
    biases = 2 * query.numel() + 2 * key.numel()
    return biases + 4 * multi_head_scores(out, query, key, *rest)


def lstm_macs(out: Tensor, x: Tensor, inner: Tensor, recurrent: Tensor, *_: Any) -> int:
    """Multiply input and state of each image and step, (steps, batch, channels), by all gates."""
    return prod(x.shape[:2]) * (inner.numel() + recurrent.numel())


def lstm_elementwise(out: Tensor, x: Tensor, inner: Tensor, *rest: Any) -> int:
    """Add both products and two biases in 4 gates, activate them; then 5 for cell and state."""
    has_biases: bool = rest[10]
    return prod(x.shape[:2]) * (inner.shape[0] // 4) * (4 * (1 + 2 * has_biases) + 4 + 5)


def fourier(half: bool, of_output: bool = False) -> Amount:
    """Count 5 N log2 N for a complex transform of N numbers, half of it for a real one.

    The convention of FFTW's benchmarks (fftw.org/speed/method.html).
    """

    def amount(out: Tensor, x: Tensor, dims: list[int], *_: Any) -> int:
        real = out if of_output else x
        length = prod(real.shape[dim] for dim in dims)
        return round((2.5 if half else 5) * real.numel() * log2(length))

    return amount


def sorting(out: Tensor, x: Tensor, dim: int = -1, *_: Any) -> int:
    """Compare each element as often as a merge sort would: log2 of the length, rounded up."""
    return x.numel() * ceil(log2(max(x.shape[dim], 1))) if x.dim() else 0


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
    **_rows(
        "convolution _convolution", Operator(macs=convolution_macs, elementwise=convolution_bias)
    ),
    **_rows("mm bmm mv", Operator(macs=product_macs)),
    **_rows("dot vdot", Operator(macs=per_input(1))),
    **_rows("addmm addmv baddbmm", Operator(macs=added_product_macs, elementwise=per_output(1))),
    # One operation for each element of the output, whatever the function.
    **_rows(
        """
        abs abs_ add add_ angle atan atan2 bitwise_and bitwise_not bitwise_or ceil
        clamp clamp_ clamp_min clamp_min_ cos div div_ elu elu_ eq erf exp
        exp_ floor ge gelu gt hardsigmoid hardsigmoid_ hardswish hardswish_ hardtanh hardtanh_ le
        leaky_relu leaky_relu_ log log1p log2 logical_and logical_not logical_or logit lt
        masked_fill masked_fill_ maximum minimum mish mul mul_ ne neg neg_ pow
        _prelu_kernel floor_divide reciprocal relu relu_ round rsqrt rsub sigmoid sigmoid_ sign
        silu silu_ sin softplus sqrt sqrt_ sub sub_ tanh tanh_ threshold threshold_ where
        """,
        Operator(elementwise=per_output(1)),
    ),
    # Multiply, then add.
    **_rows("addcmul addcmul_ lerp", Operator(elementwise=per_output(2))),
    "aten.glu": Operator(elementwise=per_output(2)),  # a sigmoid and a product
    # Fold elements into fewer, one operation for each element folded in.
    **_rows("sum amax amin max min argmax argmin prod any all", Operator(reductions=per_input(1))),
    **_rows("cumsum cumprod topk kthvalue median", Operator(reductions=per_input(1))),
    "aten.sort": Operator(reductions=sorting),
    "aten.col2im": Operator(reductions=per_input(1)),
    **_rows(
        "scatter_add scatter_add_",
        Operator(reductions=lambda out, x, dim, index, *_: index.numel()),
    ),
    **_rows(
        "index_add index_add_",
        Operator(reductions=lambda out, x, dim, index, source, *_: source.numel()),
    ),
    # Square, fold, and take the root.
    **_rows(
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
    "aten.logsumexp": Operator(
        reductions=per_input(2), elementwise=lambda out, x, *args: 2 * x.numel() + 2 * out.numel()
    ),
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
    # Attention in one operator: products, a scale, a softmax.
    **_rows(
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
    "aten._native_multi_head_attention": Operator(
        macs=multi_head_macs,
        elementwise=multi_head_elementwise,
        reductions=lambda out, *args: 2 * multi_head_scores(out, *args),
    ),
    "aten.mkldnn_rnn_layer": Operator(macs=lstm_macs, elementwise=lstm_elementwise),
    # Fourier transforms.
    "aten._fft_c2c": Operator(elementwise=fourier(half=False)),
    "aten._fft_r2c": Operator(elementwise=fourier(half=True)),
    "aten._fft_c2r": Operator(elementwise=fourier(half=True, of_output=True)),
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
    "torchvision.deform_conv2d": Operator(
        macs=deformable_macs,
        elementwise=deformable_elementwise,
        reductions=deformable_neighbours,
    ),
    "aten.upsample_linear1d": interpolation(2),
    "aten.upsample_bilinear2d": interpolation(4),
    "aten.upsample_trilinear3d": interpolation(8),
    "aten.upsample_bicubic2d": interpolation(16),
    "aten.grid_sampler_2d": Operator(elementwise=grid_neighbours, reductions=grid_neighbours),
    # Move, and compute nothing.
    **_rows(
        """
        _to_copy arange cat channel_shuffle clone complex constant_pad_nd embedding eye flip full
        full_like gather im2col index index_copy index_fill index_put index_put_ index_select
        linspace max_unpool2d new_full new_ones new_zeros nonzero ones ones_like pixel_shuffle
        pixel_unshuffle reflection_pad2d repeat replication_pad2d roll scalar_tensor scatter
        scatter_ stack tril triu upsample_nearest1d upsample_nearest2d upsample_nearest3d zeros
        zeros_like
        """,
        Operator(),
    ),
    **_rows("copy_ fill_ zero_", Operator(overwrites=True)),
}
