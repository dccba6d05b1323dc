"""Every operator that runs in one forward: arithmetic, memory traffic, kernels and live bytes.

From the meta device through a dispatch mode, so nothing is computed and nothing escapes:
functions, bare arithmetic and modules that nobody has heard of all end in operators.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from attnbench.counting.dispatch import FREE, name_of
from attnbench.counting.live_bytes import LiveBytes
from attnbench.counting.operator_costs import OPERATORS
from attnbench.counting.rule import Count, Rule, Shape, image, meta_twin


@dataclass(frozen=True)
class Cost:
    """What operators cost together; ``operator_table`` says what each one costs."""

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


@dataclass
class Trace(TorchDispatchMode):
    """What ran, by module and operator: ``rows[path, operator]``; and what is not known.

    ``peaks`` holds the most bytes that were alive in the whole network at the end of one of
    these operators.
    """

    rows: dict[tuple[str, str], Cost] = field(default_factory=dict)
    peaks: dict[tuple[str, str], int] = field(default_factory=dict)
    unknown: Counter[str] = field(default_factory=Counter)
    live: LiveBytes = field(default_factory=LiveBytes)

    def __post_init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._path = [""]

    def by(self, key: Callable[[str, str], str]) -> dict[str, Cost]:
        """Sums over a key of module path and operator name, in the order in which they ran."""
        sums: dict[str, Cost] = {}
        for (path, operator), cost in self.rows.items():
            label = key(path, operator)
            sums[label] = sums.get(label, Cost()) + cost
        return sums

    def peak_by(self, key: Callable[[str, str], str]) -> dict[str, int]:
        """The most bytes alive in the network over a key, as :meth:`by`."""
        peaks: dict[str, int] = {}
        for (path, operator), alive in self.peaks.items():
            label = key(path, operator)
            peaks[label] = max(peaks.get(label, 0), alive)
        return peaks

    @property
    def peak_live_bytes(self) -> int:
        """The most bytes alive at once in the whole forward."""
        return self.live.peak

    @property
    def total(self) -> Cost:
        """The whole forward."""
        return sum(self.rows.values(), Cost())

    @contextmanager
    def follow(self, model: nn.Module) -> Iterator[None]:
        """While it lasts, operators are put down to the innermost module that runs them."""
        handles = []
        for path, module in model.named_modules():

            def enter(*_: Any, path: str = path) -> None:
                self._path.append(path)

            def leave(*_: Any) -> None:
                self._path.pop()

            handles += [
                module.register_forward_pre_hook(enter),
                module.register_forward_hook(leave),
            ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Any,  # the signature is PyTorch's
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        name = name_of(func)
        if func.is_view or name in FREE:
            return out
        if name not in OPERATORS:
            self.unknown[name] += 1
            return out
        key = (self._path[-1], name)
        self.rows[key] = self.rows.get(key, Cost()) + cost(name, out, args, kwargs or {})
        self.peaks[key] = max(self.peaks.get(key, 0), self.live.live)
        return out


def cost(name: str, out: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Cost:
    """One call of an operator: its row of the table, and the traffic of its tensors."""
    row = OPERATORS[name]
    outputs = [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]
    first = outputs[0]
    written = outputs[: row.outputs(first, *args)] if row.outputs else outputs
    options = {key: value for key, value in kwargs.items() if key != "out"}
    given = tree_leaves((args[1:] if row.overwrites else args, options))
    read = {id(leaf): leaf for leaf in given if isinstance(leaf, Tensor)}
    return Cost(
        macs=row.macs(first, *args),
        elementwise=row.elementwise(first, *args),
        reductions=row.reductions(first, *args),
        bytes_read=sum(map(own_bytes, read.values())),
        bytes_written=sum(map(own_bytes, written)),
        kernels=1,
    )


def own_bytes(tensor: Tensor) -> int:
    """The bytes of the elements that a tensor really has; an expanded one repeats them."""
    elements = 1
    for size, stride in zip(tensor.shape, tensor.stride(), strict=True):
        elements *= size if stride or not size else 1
    return elements * tensor.element_size()


def trace(model: nn.Module, input_shape: Shape) -> Trace:
    """One forward in evaluation mode on the meta device."""
    twin = meta_twin(model)
    found, given = Trace(), image(twin, input_shape)
    with torch.no_grad(), found.follow(twin), found.live, found:
        twin(given)
    return found


def _in_network(path: str) -> list[str]:
    """The steps of a path; those of a detector's backbone as in a network that is nothing else."""
    return path.removeprefix("backbone.").removeprefix("body.").split(".")


def stage(path: str, _: str) -> str:
    """A key for :meth:`Trace.by`: ``layer1``, or the stem's, pyramid's or head's module."""
    return _in_network(path)[0] or "network"


def block(path: str, _: str) -> str:
    """A key for :meth:`Trace.by`: ``layer1.0``, or the stem's, pyramid's or head's module."""
    return ".".join(_in_network(path)[:2]) or "network"


def part(path: str, _: str) -> str:
    """A key for :meth:`Trace.by`: ``attention`` or ``host``."""
    return "attention" if "attention" in path.split(".") else "host"


def stage_and_part(path: str, operator: str) -> str:
    """A key for :meth:`Trace.by`: ``layer1 attention``."""
    return f"{stage(path, operator)} {part(path, operator)}"


def count(model: nn.Module, input_shape: Shape) -> Count:
    """The whole forward; ``details`` holds the sums, ``parts`` the same by stage and part."""
    found = trace(model, input_shape)
    total, peaks = found.total, found.peak_by(stage_and_part)
    return Count(
        operations=total.operations,
        not_counted=dict(found.unknown),
        details=asdict(total) | {"peak_live_bytes": found.peak_live_bytes},
        parts={
            name: asdict(value) | {"peak_live_bytes": peaks[name]}
            for name, value in found.by(stage_and_part).items()
        },
    )


RULE = Rule(
    name="executed",
    definition=(
        "Every operator that ran, by one table: multiply-accumulates, element-wise operations "
        "and folded elements, one each; with bytes read and written, kernels and live bytes."
    ),
    source="this suite",
    count=count,
)
