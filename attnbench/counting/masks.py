"""Assignments under a boolean mask, by the operator that computes them.

``x[mask] = 0`` reaches a dispatch mode as ``masked_fill_`` from torch 2.15 on and as ``index_put_``
before, whose kernel on a CPU is ``masked_fill_`` too. They count alike.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

FILLS = {"aten.index_put": "aten.masked_fill", "aten.index_put_": "aten.masked_fill_"}


def as_computed(
    name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[str, tuple[Any, ...]]:
    """Return the operator and arguments that a CPU computes an assignment with.

    It fills where one number is assigned under one boolean mask, and adds nothing
    (``TensorAdvancedIndexing.cpp``, ``canDispatchToMaskedFill``).
    """
    if name not in FILLS:
        return name, args
    x, indices, value, *rest = args
    given = [index for index in indices if index is not None]
    adds = any(rest) or kwargs.get("accumulate", False)
    if adds or value.numel() != 1 or len(given) != 1 or given[0].dtype != torch.bool:
        return name, args
    return FILLS[name], (x, *given)


def is_number(name: str, out: Any) -> bool:
    """Return whether an operator makes one number of Python a tensor, as an assignment does.

    With real tensors that happens before a dispatch mode sees it.
    """
    return name == "aten.lift_fresh" and isinstance(out, Tensor) and out.dim() == 0
