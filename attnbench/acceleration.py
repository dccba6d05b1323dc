"""What may stand between a network and its kernels: compilation, and graphs of launches."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import nn

from attnbench.timing import Step

LIMITS = {
    "recompile_limit": 1024,
    "accumulated_recompile_limit": 1024,
    "cache_size_limit": 1024,  # the same under its older names
    "accumulated_cache_size_limit": 1024,
    "fail_on_recompile_limit_hit": True,
    "fail_on_cache_limit_hit": True,
}
"""The networks of a run share their code, so the compiler sees one function many times. Beyond a
limit it would silently go back to eager: lifted, and an error where it is reached."""


@cache
def _start_compiler() -> None:
    """Import it and start its workers, so that the first network does not pay for that."""
    torch.compile(torch.relu)(torch.ones(2))


CAPTURE_AFTER = 3
"""Steps before a capture, in which libraries choose their algorithms."""


def compiled(model: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """The network's forward through ``torch.compile``, which compiles when first called.

    Whole or not at all: where the compiler would leave a part to Python, it raises.
    """
    for name, limit in LIMITS.items():
        if hasattr(torch._dynamo.config, name):
            setattr(torch._dynamo.config, name, limit)
    _start_compiler()
    forward: Callable[[torch.Tensor], torch.Tensor] = torch.compile(
        model, fullgraph=True, dynamic=False
    )
    return forward


def captured(step: Step) -> Step:
    """The step as one CUDA graph: all launches recorded once, then replayed by one call.

    The graphs of a process share their memory, for no two ever run at the same time.
    """
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(CAPTURE_AFTER):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph, pool=_pool()):
            answer = step()
    except Exception:
        _POOL.clear()  # what a broken capture began in it may not have ended
        raise

    def replay() -> object:
        graph.replay()
        return answer

    return Step({"step": replay})


_POOL: list[Any] = []


def _pool() -> Any:
    if not _POOL:
        _POOL.append(torch.cuda.graph_pool_handle())
    return _POOL[0]
