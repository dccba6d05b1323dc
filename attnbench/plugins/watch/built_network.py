"""A built network's own objects: what custom code could find and change, patching no class."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from itertools import chain

from torch import nn

Look = dict[str, object]
"""What was seen, by the name that a message gives it."""


class BuiltNetwork:
    """The modules, hooks, functions and tensors of a network, as they are when this is made."""

    def __init__(self, name: str, network: nn.Module) -> None:
        self._name, self._network = name, network
        self._before, self._print = _look(network), _fingerprint(network)

    def changed(self) -> Iterator[str]:
        """Yield what has been replaced, added or converted: ``layer1.0.forward of plain``."""
        if _fingerprint(self._network) == self._print:  # a tenth of the time
            return
        now = _look(self._network)
        for name in dict.fromkeys((*self._before, *now)):
            if self._before.get(name) != now.get(name):
                yield f"{name} of {self._name}"


def _fingerprint(network: nn.Module) -> list[object]:
    """Return all of :func:`_look` but the names, in an order that a change may change too."""
    parts: list[object] = []
    for module in network.modules():
        values = vars(module)
        tensors = (*values["_parameters"].values(), *values["_buffers"].values())
        parts += (
            type(module),
            *map(id, values.values()),
            *(tuple(map(id, value.values())) for value in values.values() if type(value) in DICTS),
            *((t.dtype, t.device, t.shape, t.stride()) for t in tensors if t is not None),
        )
    return parts


DICTS = (dict, OrderedDict)


def _look(network: nn.Module) -> Look:
    look: Look = {}
    for path, module in network.named_modules():
        prefix = f"{path}." if path else ""
        look[f"{prefix}class"] = type(module)
        for key, value in vars(module).items():
            if isinstance(value, dict):  # children, hooks, parameters
                look[f"{prefix}{key}"] = tuple(map(id, value.values()))
            else:
                look[f"{prefix}{key}"] = id(value)
    for name, tensor in chain(network.named_parameters(), network.named_buffers()):
        look[f"layout of {name}"] = (tensor.dtype, tensor.device, tensor.shape, tensor.stride())
    return look
