"""What PyTorch does otherwise below a dispatch mode, done as it does it without one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch._subclasses.fake_tensor import unset_fake_temporarily
from torch.nn import functional
from torch.overrides import TorchFunctionMode

COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd
VIEWS_OF_BASES = torch._C.DispatchKey.ADInplaceOrView


def is_composite(func: OpOverload) -> bool:
    """Return whether PyTorch defines the operator by others (by C++, not by a decomposition)."""
    has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key
    return func.namespace != "prim" and has_kernel(func.name(), COMPOSITE)


def views_keep_their_base() -> AbstractContextManager[object]:
    """Let views know their base, as outside a mode: a view of a weight then asks for a gradient.

    By that a matrix product of a batch chooses between one product and many (``LinearAlgebra.cpp``,
    ``should_fold``), in inference too.
    """
    excluded = torch._C._dispatch_tls_local_exclude_set().remove(VIEWS_OF_BASES)
    return torch._C._ForceDispatchKeyGuard(torch._C._dispatch_tls_local_include_set(), excluded)


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor | None:
    """Add a bias in place, as PyTorch does where it cannot use one product with a sum.

    Under a dispatch mode PyTorch itself would make a new tensor (``Linear.cpp``).
    """
    x = input
    if bias is None or x.dim() == weight.dim() or x.is_contiguous():
        return None
    return torch.matmul(x, weight.t()).add_(bias)


def one_hot(input: Tensor, num_classes: int = -1) -> Tensor | None:
    """Scatter ones to zeros; fake tensors PyTorch compares with a range (``Onehot.cpp``)."""
    classes = input
    if classes.dtype != torch.long or not classes.numel() or num_classes < -1:
        return None
    greatest = torch.aminmax(classes).max
    count = num_classes if num_classes >= 0 else int(greatest.item()) + 1
    del greatest
    zeros = torch.zeros((*classes.shape, count), dtype=classes.dtype, device=classes.device)
    return zeros.scatter_(-1, classes.unsqueeze(-1), 1)


APART: Mapping[str, Callable[..., Tensor | None]] = {
    "aten.linear": linear,
    "aten.one_hot": one_hot,
}
"""Functions that PyTorch takes apart otherwise below a mode; None where it does not."""

_FUNCTIONS: Mapping[Callable[..., Any], Callable[..., Tensor | None]] = {
    functional.linear: linear,
    functional.one_hot: one_hot,
}


class TakenApart(TorchFunctionMode):
    """Take functions apart as a training step does: below gradients they are in parts already."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,  # the signature is PyTorch's
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        out = _FUNCTIONS[func](*args, **kwargs) if func in _FUNCTIONS else None
        return func(*args, **kwargs) if out is None else out


def as_viewed(out: Tensor, x: Tensor, shape: list[int], *_: Any) -> Tensor:
    """Give a fake view the strides that PyTorch's kernel gives a real one.

    They differ in sides of length 1, from which a later convolution chooses its memory layout.
    """
    if 1 not in out.shape:
        return out
    with unset_fake_temporarily():
        strides = torch.empty_strided(x.shape, x.stride(), device="meta").view(shape).stride()
    return out if out.stride() == strides else out.as_strided(out.shape, strides)


def resized(out: Tensor, x: Tensor, *_: Any) -> Tensor:
    """Let a fake output hold as many bytes as a real one, which begins as a tensor like the input.

    It is given its own size afterwards, which frees nothing (``Im2Col.cpp``, ``Col2Im.cpp``).
    """
    if x.numel() <= out.numel():
        return out
    return out.new_empty(x.numel()).as_strided(out.shape, out.stride())


def with_statistics(weight: int) -> Callable[..., tuple[Tensor, ...]]:
    """Give the statistics of a norm that fake tensors have normalised the dtype of a real one's.

    A CPU's kernel keeps them in the weight's, as under autocast, where the map is in half
    precision (``mixed_dtype.h``). ``weight`` is its place among the arguments.
    """

    def corrected(out: tuple[Tensor, ...], *args: Any) -> tuple[Tensor, ...]:
        scale: Tensor | None = args[weight]
        if scale is None or all(kept.dtype == scale.dtype for kept in out[1:]):
            return out
        return (out[0], *(kept.new_empty(kept.shape, dtype=scale.dtype) for kept in out[1:]))

    return corrected


def _layout_of(x: Tensor) -> torch.memory_format:
    is_last = x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if is_last and not x.is_contiguous() else torch.contiguous_format


def laid_out_as(
    layout_of: Callable[[Tensor], torch.memory_format],
) -> Callable[..., tuple[Tensor | None, ...]]:
    """Give the gradient of a norm's fake input the layout that a CPU's has.

    Fake tensors have that of the output's gradient or of the input; where the two differ, a copy
    would be counted that does not run, or one left out.
    """

    def corrected(
        out: tuple[Tensor | None, ...], _: Tensor, x: Tensor, *args: Any
    ) -> tuple[Tensor | None, ...]:
        gradient, *others = out
        layout = layout_of(x)
        if gradient is None or gradient.is_contiguous(memory_format=layout):
            return out
        return (torch.empty_like(gradient, memory_format=layout), *others)

    return corrected


AS_REAL: Mapping[str, Callable[..., Any]] = {
    **dict.fromkeys(("aten.view", "aten._unsafe_view", "aten._reshape_alias"), as_viewed),
    **dict.fromkeys(("aten.im2col", "aten.col2im"), resized),
    "aten.native_layer_norm": with_statistics(weight=2),
    "aten.native_group_norm": with_statistics(weight=1),
    "aten.native_batch_norm": with_statistics(weight=1),
    # batch_norm_backward_cpu in Normalization.cpp; group_norm.cpp
    "aten.native_batch_norm_backward": laid_out_as(_layout_of),
    "aten.native_group_norm_backward": laid_out_as(_layout_of),
    # From a copy where the input is not contiguous (layer_norm_backward_cpu in layer_norm.cpp).
    "aten.native_layer_norm_backward": laid_out_as(lambda _: torch.contiguous_format),
}
"""Operators whose fake outputs differ from real ones; from both and the arguments to a real one's
shape, strides, dtype and bytes."""
