"""Watching the operators that really run, below the modules and functions that call them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from attnbench.counting.rule import Shape, image

FREE = {
    "aten.empty",
    "aten.empty_like",
    "aten.empty_strided",
    "aten.new_empty",
    "aten.new_empty_strided",
    "aten._unsafe_view",
    "aten.unsafe_split",
}
"""Allocations, and views that PyTorch does not mark as such: free under every rule."""

Cost = Callable[..., int]
"""From an operator's output and arguments to its cost."""


def name_of(operator: OpOverload) -> str:
    """``aten.add`` for every overload of it."""
    return str(operator.overloadpacket)


class Watch(TorchDispatchMode):
    """Adds up what a table of operators costs and lists every other operator that ran.

    What is free under every rule is neither counted nor listed. While ``covered``
    is positive, operators are somebody else's: a hook-based counter has counted their module.
    """

    def __init__(self, costs: Mapping[str, Cost]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.costs = costs
        self.total = 0
        self.not_counted: Counter[str] = Counter()
        self.covered = 0

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        name = name_of(func)
        if name in self.costs:
            self.total += self.costs[name](out, *args)
        elif not (self.covered or func.is_view or name in FREE):
            self.not_counted[name] += 1
        return out


def watch(model: nn.Module, input_shape: Shape, costs: Mapping[str, Cost]) -> Watch:
    """One forward of a meta network under :class:`Watch`."""
    # Not inference_mode: there some composite operators would arrive whole.
    seen = Watch(costs)
    with torch.no_grad(), seen:
        model(image(model, input_shape))
    return seen


def outside(
    model: nn.Module, input_shape: Shape, covers: Callable[[nn.Module], bool]
) -> dict[str, int]:
    """The operators that ran outside the leaf modules that a hook-based rule covers.

    ``model`` is a meta network and keeps no hook.
    """
    seen = Watch({})

    def enter(*_: Any) -> None:
        seen.covered += 1

    def leave(*_: Any) -> None:
        seen.covered -= 1

    handles = []
    for module in model.modules():
        if covers(module):
            handles += [
                module.register_forward_pre_hook(enter),
                module.register_forward_hook(leave),
            ]
    with torch.no_grad(), seen:
        model(image(model, input_shape))
    for handle in handles:
        handle.remove()
    return dict(seen.not_counted)


def first_input(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """What a layer was called with, by position or by name."""
    first: Tensor = (*args, *kwargs.values())[0]
    return first
