"""What a rule of counting is; it returns the :class:`Count` of the records."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from itertools import chain

import torch
from torch import nn

from attnbench.records.schema import Count, Shape

__all__ = ["Count", "Rule", "Shape"]


@dataclass(frozen=True)
class Rule:
    """One way of counting, with the sentence that defines it and its source.

    ``count(model, input_shape)`` takes any network and leaves it as it was.
    """

    name: str
    definition: str
    source: str
    count: Callable[[nn.Module, Shape], Count]


def meta_twin(model: nn.Module) -> nn.Module:
    """Copy the network to the meta device, in evaluation mode: shapes without storage.

    No weight is copied or allocated, on whatever device the network is.
    """
    memo: dict[int, torch.Tensor] = {}
    for tensor in chain(model.parameters(), model.buffers()):
        shell = torch.empty_like(tensor, device="meta")
        is_parameter = isinstance(tensor, nn.Parameter)
        memo[id(tensor)] = nn.Parameter(shell, tensor.requires_grad) if is_parameter else shell
    return deepcopy(model, memo).eval()


def image(model: nn.Module, shape: Shape) -> torch.Tensor:
    """Return an input on the meta device, in the dtype of the network's weights."""
    dtypes = (p.dtype for p in model.parameters() if p.is_floating_point())
    return torch.empty(shape, device="meta", dtype=next(dtypes, torch.float32))
