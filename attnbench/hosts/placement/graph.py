"""One forward of a network as a graph: the maps it computes, and the module that made each.

Fake tensors run it: their shapes are known, and nothing is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from attnbench.counting.twin import Input, is_scripted, mode_of, twin
from attnbench.records.schema import Shape
from attnbench.text import error_line


class UntraceableError(Exception):
    """A network's forward fails on fake tensors; the message says where, and why."""


@dataclass(frozen=True)
class Value:
    """A tensor that depends on the image: what made it, of which other values, in which module."""

    operator: str
    inputs: tuple[int, ...]
    shape: Shape
    module: str
    """The path of the innermost module that was running."""


@dataclass(frozen=True)
class Call:
    """A call of a module: the values that were there before, and the one that it returned."""

    before: int
    output: int | None
    """None where it returned anything but one tensor that depends on the image."""
    shape: Shape | None
    """Of that tensor."""


@dataclass
class Graph:
    """The values of one forward in the order of their making, and every module's calls."""

    values: list[Value] = field(default_factory=list)
    calls: dict[str, list[Call]] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    """The class of every module by its path, those that were not called too."""
    outputs: set[int] = field(default_factory=set)
    """Values that the network returns."""

    @cached_property
    def ancestors(self) -> list[int]:
        """For each value the set of those that it was made of, itself among them, as bits."""
        sets: list[int] = []
        for number, value in enumerate(self.values):
            bits = 1 << number
            for source in value.inputs:
                bits |= sets[source]
            sets.append(bits)
        return sets

    @cached_property
    def readers(self) -> dict[int, list[int]]:
        """For each value those that were made of it."""
        readers: dict[int, list[int]] = {}
        for number, value in enumerate(self.values):
            for source in {*value.inputs}:
                readers.setdefault(source, []).append(number)
        return readers


def record(network: nn.Module, given: Input) -> Graph:
    """Return the graph of one forward of a copy in evaluation mode.

    ``given`` is the shape of fake images (batch, 3, height, width), or images with data.

    Raises:
        UntraceableError: the forward fails; the message names the operator and the module.
    """
    model, images = twin(network, given)
    recorder = _Recorder()
    recorder.add_image(images)
    try:
        with torch.no_grad(), mode_of(images), recorder.follow(model), recorder:
            out = model(images)
    except Exception as error:
        raise UntraceableError(f"{recorder.where}: {error_line(error)}") from error
    recorder.graph.outputs = {n for n in map(recorder.number, tree_leaves(out)) if n is not None}
    return recorder.graph


def shapes(network: nn.Module, images: Tensor) -> dict[str, list[Shape | None]]:
    """Return the shapes of what each module returns, call by call; None for no single tensor.

    The forward runs on the tensors as they are: fake, on meta, or with data.

    Raises:
        Exception: what the network's forward raises.
    """
    returned: dict[str, list[Shape | None]] = {}

    def note(path: str, out: object) -> None:
        shape = tuple(out.shape) if isinstance(out, Tensor) else None
        returned.setdefault(path, []).append(shape)

    with _hooks(network, lambda _: None, note), torch.no_grad(), mode_of(images):
        network(images)
    return returned


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.graph = Graph()
        self._numbers: dict[int, int] = {}
        """By the identity of a tensor, which is kept alive so that no other takes its place."""
        self._alive: list[Tensor] = []
        self._running: list[tuple[str, int]] = [("", 0)]
        self._operator = ""

    @property
    def where(self) -> str:
        """The operator and the module that were reached last."""
        path = self._running[-1][0]
        return " in ".join(filter(None, [self._operator or "its first call", path]))

    def add_image(self, images: Tensor) -> None:
        self._add(images, "image", ())

    def number(self, value: object) -> int | None:
        return self._numbers.get(id(value)) if isinstance(value, Tensor) else None

    @contextmanager
    def follow(self, model: nn.Module) -> Iterator[None]:
        self.graph.kinds = {path: type(module).__name__ for path, module in model.named_modules()}

        def enter(path: str) -> None:
            self._running.append((path, len(self.graph.values)))

        def leave(path: str, out: object) -> None:
            _, before = self._running.pop()
            number = self.number(out)
            shape = tuple(out.shape) if isinstance(out, Tensor) else None
            self.graph.calls.setdefault(path, []).append(Call(before, number, shape))

        with _hooks(model, enter, leave):
            yield

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        self._operator = str(func.overloadpacket)
        inputs = [
            number
            for leaf in tree_leaves((args, kwargs))
            if (number := self.number(leaf)) is not None
        ]
        out = func(*args, **kwargs)
        if inputs:
            written = [
                args[place]
                for place, argument in enumerate(func._schema.arguments[: len(args)])
                if argument.alias_info is not None and argument.alias_info.is_write
            ]
            made = {id(leaf): leaf for leaf in tree_leaves((out, written))}
            for leaf in made.values():
                if isinstance(leaf, Tensor):
                    self._add(leaf, self._operator, tuple(inputs))
        return out

    def _add(self, tensor: Tensor, operator: str, inputs: tuple[int, ...]) -> None:
        self._numbers[id(tensor)] = len(self.graph.values)
        self._alive.append(tensor)
        value = Value(operator, inputs, tuple(tensor.shape), self._running[-1][0])
        self.graph.values.append(value)


@contextmanager
def _hooks(
    model: nn.Module, enter: Callable[[str], None], leave: Callable[[str, object], None]
) -> Iterator[None]:
    handles = []
    for path, module in model.named_modules():
        if is_scripted(module):
            continue
        handles += [
            module.register_forward_pre_hook(lambda _, __, path=path: enter(path)),
            module.register_forward_hook(lambda _, __, out, path=path: leave(path, out)),
        ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
