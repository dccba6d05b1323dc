"""What a rule of counting is; what it returns is a record's :class:`Count`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from attnbench.records.schema import Count

__all__ = ["Count", "Rule", "Shape"]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Rule:
    """A way of counting, with the sentence that defines it and the place it comes from.

    ``count(model, input_shape)`` takes any network and leaves it as it was.
    """

    name: str
    definition: str
    source: str
    count: Callable[[nn.Module, Shape], Count]
