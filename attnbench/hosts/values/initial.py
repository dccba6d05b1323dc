"""Draw a host's initial values once in a process that builds it several times.

Drawing takes several times as long as copying, and a process that times seven modules builds their
host nine times.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from copy import deepcopy

import torch
from torch import Tensor, nn

Drawn = dict[Hashable, tuple[nn.Module, Tensor]]
"""A network as it was drawn, and the state of torch's generator after that; empty until then."""

_DRAWN: ContextVar[Drawn | None] = ContextVar("_DRAWN", default=None)


@contextmanager
def drawn_once(drawn: Drawn) -> Iterator[None]:
    """Keep the first network that is drawn in the body, or in one before it with the same dict."""
    token = _DRAWN.set(drawn)
    try:
        yield
    finally:
        _DRAWN.reset(token)


def drawn_or_copied(name: Hashable, draw: Callable[[], nn.Module]) -> nn.Module:
    """Return what ``draw`` makes, on the CPU by a copy of what it made before under this name.

    That began from the same state of the generator and had the same dtype. The generator ends in
    the state in which drawing leaves it, so that what is drawn next is the same too. The first
    network is a copy as well: none differs from the others in how it came to its place in memory.
    """
    drawn = _DRAWN.get()
    if drawn is None or torch.empty(0).device.type != "cpu":
        return draw()
    key = name, torch.get_rng_state().numpy().tobytes(), torch.get_default_dtype()
    if not drawn:
        drawn[key] = draw(), torch.get_rng_state()
    if key not in drawn:  # one host is kept, and not all that are built on the way
        return draw()
    network, ended = drawn[key]
    torch.set_rng_state(ended)
    return deepcopy(network)
