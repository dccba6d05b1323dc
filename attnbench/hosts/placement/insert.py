"""Put modules into a network at positions: behind the part there, before it, or in its place.

Behind a part a module is called by the part's ``forward``, replaced in that one object: a hook
would lead each call of the part through ``nn.Module``'s slow path, which takes several times as
long as the call of an identity, and is no cost of the module. Where torch looks at hooks to decide
whether it may compute several parts as one operator, it has to be a hook; before a part it is one.

A part's caller holds the part's input until the call has returned (Python keeps the arguments of a
call on the caller's stack). So that map cannot be free before the module runs, as it is in a block
that calls the module itself: inference may hold one map more. Freeing its storage would break a
caller that uses it again, and a tensor that computes when it is first used would be timed in place
of the module. An identity allocates nothing, and so adds no byte. The residual blocks of
torchvision's and timm's ResNets are known, and call the module themselves.

What calls the module holds it, and it is registered with the part's block too. Copies and pickles
of the network keep both as one. ``torch.nn.SyncBatchNorm.convert_sync_batchnorm`` does not: it puts
new norms into the place of old ones.
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


class Through(_Taken):
    """The forward of one part: what it returned before passes through the module."""

    def __init__(self, part: nn.Module, attention: nn.Module, axis: int) -> None:
        super().__init__(attention, axis)
        self.part, self.before = part, vars(part).get("forward")

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        if self.before is None:
            return self.on(type(self.part).forward(self.part, *args, **kwargs))
        return self.on(self.before(*args, **kwargs))


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

    By the part's forward or a hook, but behind the last norm of blocks that call it themselves.

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
        elif _may_be_fused(network, where.site):
            part.register_forward_hook(After(module, where.axis))
        else:
            part.forward = Through(part, module, where.axis)
        paths.append(".".join(filter(None, [owner, name])))
    return paths


FUSED = (nn.TransformerEncoder, nn.TransformerEncoderLayer, nn.MultiheadAttention)
"""What torch computes as one operator in inference, without its parts, if none has a hook."""


def _may_be_fused(network: nn.Module, site: str) -> bool:
    """Return whether the site is a part of what torch may compute without calling it."""
    names = site.split(".")
    return any(
        isinstance(network.get_submodule(".".join(names[:count])), FUSED)
        for count in range(len(names))
    )


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
