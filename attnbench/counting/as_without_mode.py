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


class BiasInPlace(TorchFunctionMode):
    """Take linear layers as a training step runs them: below gradients they are in parts."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,  # the signature is PyTorch's
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        out = linear(*args, **kwargs) if func is functional.linear else None
        return func(*args, **kwargs) if out is None else out


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor | None:
    """Add a bias in place, as PyTorch does where it cannot use one product with a sum.

    Under a dispatch mode PyTorch itself would make a new tensor (``Linear.cpp``).
    """
    x = input
    if bias is None or x.dim() == weight.dim() or x.is_contiguous():
        return None
    return torch.matmul(x, weight.t()).add_(bias)


def as_viewed(out: Tensor, x: Tensor, shape: list[int]) -> Tensor:
    """Give a fake view the strides that PyTorch's kernel gives a real one.

    They differ in sides of length 1, from which a later convolution chooses its memory layout.
    """
    if 1 not in out.shape:
        return out
    with unset_fake_temporarily():
        strides = torch.empty_strided(x.shape, x.stride(), device="meta").view(shape).stride()
    return out if out.stride() == strides else out.as_strided(out.shape, strides)


WEIGHT_OF_NORM = {
    "aten.native_layer_norm": 2,
    "aten.native_group_norm": 1,
    "aten.native_batch_norm": 1,
}
"""Where the weight stands among the arguments."""


def with_statistics(out: tuple[Tensor, ...], weight: Tensor | None) -> tuple[Tensor, ...]:
    """Give the statistics of a norm that fake tensors have normalised the dtype of a real one's.

    A CPU's kernel keeps them in the weight's, as under autocast, where the map is in half
    precision (``mixed_dtype.h``).
    """
    if weight is None or all(kept.dtype == weight.dtype for kept in out[1:]):
        return out
    return (out[0], *(kept.new_empty(kept.shape, dtype=weight.dtype) for kept in out[1:]))


def _layout_of(x: Tensor) -> torch.memory_format:
    is_last = x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if is_last and not x.is_contiguous() else torch.contiguous_format


NORM_BACKWARD: Mapping[str, Callable[[Tensor], torch.memory_format]] = {
    "aten.native_batch_norm_backward": _layout_of,  # batch_norm_backward_cpu in Normalization.cpp
    "aten.native_group_norm_backward": _layout_of,  # group_norm.cpp
    # From a copy where the input is not contiguous (layer_norm_backward_cpu in layer_norm.cpp).
    "aten.native_layer_norm_backward": lambda _: torch.contiguous_format,
}
"""Gradient of a norm -> the layout that a CPU's kernel gives that of the norm's input."""


def laid_out_as(
    layout: torch.memory_format, out: tuple[Tensor | None, ...]
) -> tuple[Tensor | None, ...]:
    """Give the gradient of a norm's fake input the layout that a CPU's has.

    Fake tensors have that of the output's gradient or of the input; where the two differ, a copy
    would be counted that does not run, or one left out.
    """
    gradient, *others = out
    if gradient is None or gradient.is_contiguous(memory_format=layout):
        return out
    return (torch.empty_like(gradient, memory_format=layout), *others)
