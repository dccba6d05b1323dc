"""What a rule of counting is; it returns the :class:`Count` of the records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from attnbench.counting.twin import Input
from attnbench.records.schema import Count, Shape

__all__ = ["Count", "Input", "NoHooksError", "OtherPackageError", "Rule", "Shape", "SparseError"]


@dataclass(frozen=True)
class Rule:
    """One way of counting, with the sentence that defines it and its source.

    ``count(model, given)`` takes any network, for images of a shape or for given images, and
    leaves it as it was.
    """

    name: str
    definition: str
    source: str
    count: Callable[[nn.Module, Input], Count]


class NoHooksError(Exception):
    """A rule that counts by hooks on modules met one of ``torch.jit``, which takes none."""

    def __str__(self) -> str:
        """Return the same words for every rule."""
        return "modules compiled by torch.jit take no hooks, by which this rule counts"


class SparseError(Exception):
    """A tensor has no storage of one number an element, so what it takes is not known by shapes."""

    def __str__(self) -> str:
        """Return the same words for every rule."""
        return (
            "the forward makes sparse tensors, whose operations depend on how many of their values "
            "are not zero, so they are not counted; dense tensors are"
        )


class OtherPackageError(Exception):
    """The package by which a rule counts is not installed: another one has taken its place."""


WITHOUT_REMEDY = (NoHooksError, OtherPackageError, SparseError)
"""Errors that stay where the network is given data."""
