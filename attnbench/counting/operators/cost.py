"""What one call of an operator costs: a row of the table, and the traffic of its tensors.

A row holds the arithmetic. The rest follows from an operator's tensors, the same way for all of
them: every different tensor argument is read once (of a broadcast one, the elements that it really
has), every output is written once (one that is changed in place too), and the operator is one
kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor


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
        return Cost(
            macs=self.macs + other.macs,
            elementwise=self.elementwise + other.elementwise,
            reductions=self.reductions + other.reductions,
            bytes_read=self.bytes_read + other.bytes_read,
            bytes_written=self.bytes_written + other.bytes_written,
            kernels=self.kernels + other.kernels,
        )

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


def rows(names: str, row: Operator) -> dict[str, Operator]:
    """Return the same row for several of PyTorch's operators, by their names in the table."""
    return {f"aten.{name}": row for name in names.split()}


def cost(row: Operator, out: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Cost:
    """Cost one call of an operator: its row of the table, and the traffic of its tensors."""
    outputs = tensors_in(out)
    first = outputs[0]
    options = {key: value for key, value in kwargs.items() if key != "out"}
    inputs = tensors_in(args[1:] if row.overwrites else args, options)
    read = {id(tensor): tensor for tensor in inputs}
    return Cost(
        macs=row.macs(first, *args),
        elementwise=row.elementwise(first, *args),
        reductions=row.reductions(first, *args),
        bytes_read=sum(map(own_bytes, read.values())),
        bytes_written=sum(map(own_bytes, outputs)),
        kernels=1,
    )


def tensors_in(*values: Any) -> list[Tensor]:
    """Return the tensors among an operator's arguments or outputs, in their order."""
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found += tensors_in(*value)
        elif isinstance(value, dict):
            found += tensors_in(*value.values())
    return found


def own_bytes(tensor: Tensor) -> int:
    """Return the bytes of the elements that a tensor really has; an expanded one repeats them."""
    elements = 1
    for size, stride in zip(tensor.shape, tensor.stride(), strict=True):
        elements *= size if stride or not size else 1
    return elements * tensor.element_size()
