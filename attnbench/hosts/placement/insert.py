"""Put modules into a network at positions: by a hook on the part there, or in the part's place.

A part's caller holds the part's input until the call has returned, hooks included (Python keeps
the arguments of a call on the caller's stack). So no hook can free that map before the module runs,
as a block that calls the module itself has done by then: inference may hold one map more. Freeing
its storage would break a caller that uses it again, and a tensor that computes when it is first
used would be timed in place of the module. An identity allocates nothing, and so adds no byte.
The residual blocks of torchvision's and timm's ResNets are known, and call the module themselves.

The hook holds the module, which is registered with the part's block too. Copies and pickles of the
network keep both as one. ``torch.nn.SyncBatchNorm.convert_sync_batchnorm`` does not: it puts new
norms into the place of old ones and drops their hooks.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, nn

from attnbench.hosts.placement.blocks import let_call
from attnbench.hosts.placement.position import Position
from attnbench.modules import SettingsError

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
"""A child more would change what these compute or hold."""

NAME = "attention"


class _Taken:
    """Hand a map to the attention module, channels first."""

    def __init__(self, attention: nn.Module, axis: int) -> None:
        self.attention, self.axis = attention, axis

    def on(self, x: Tensor) -> Tensor:
        if self.axis == 1:
            return self.attention(x)  # type: ignore[no-any-return]
        out: Tensor = self.attention(x.permute(0, 3, 1, 2))
        return out.permute(0, 2, 3, 1)


class After(_Taken):
    """A forward hook: what the part returns passes through the module."""

    def __call__(self, part: nn.Module, args: Any, out: Tensor) -> Tensor:  # noqa: ARG002
        return self.on(out)


class Before(_Taken):
    """A hook before the forward: what the part takes passes through the module."""

    def __call__(self, part: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:  # noqa: ARG002
        return (self.on(args[0]), *args[1:])


def insert(
    network: nn.Module, positions: Iterable[Position], make: Callable[[Position], nn.Module]
) -> list[str]:
    """Put ``make(position)`` at every position; return the paths of the modules.

    By a hook, but behind the last norm of blocks that call it themselves.

    Each is registered as ``attention`` of the nearest ancestor that is no container (a second one
    there as ``attention2``); in the place of a part, it is registered within that place.
    """
    paths = []
    for where in positions:
        part, module = network.get_submodule(where.site), make(where)
        if where.replaces:
            parent, _, name = where.site.rpartition(".")
            inner = nn.Sequential(OrderedDict({NAME: module}))
            network.get_submodule(parent).register_module(name, inner)
            paths.append(f"{where.site}.{NAME}")
            continue
        owner = owner_of(network, where.site)
        block = network.get_submodule(owner)
        name = next(name for name in _names() if not hasattr(block, name))
        block.register_module(name, module)
        if name == NAME and not where.before and let_call(block, part):
            pass
        elif where.before:
            part.register_forward_pre_hook(Before(module, where.axis))
        else:
            part.register_forward_hook(After(module, where.axis))
        paths.append(".".join(filter(None, [owner, name])))
    return paths


def owner_of(network: nn.Module, site: str) -> str:
    """Return the path of the module that an attention module at the site is registered with.

    Raises:
        SettingsError: there is none: the site is a container within containers alone.
    """
    owner = site
    while owner:
        owner = owner.rpartition(".")[0]
        if not isinstance(network.get_submodule(owner), CONTAINERS):
            return owner
    if isinstance(network.get_submodule(site), CONTAINERS):
        raise SettingsError(
            f"{site} is a container within containers: no block can hold the module's parameters; "
            "name a module within it with --at"
        )
    return site


def _names() -> Iterable[str]:
    yield NAME
    number = 2
    while True:
        yield f"{NAME}{number}"
        number += 1
