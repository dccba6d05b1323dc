"""CUDA graphs: all launches of a step recorded once, then replayed by one call."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch

CAPTURE_AFTER = 3
"""Steps before a capture, in which libraries choose their algorithms."""

_pool = cache(torch.cuda.graph_pool_handle)


def capture(step: Callable[[], object]) -> Callable[[], object]:
    """Capture the step, and return its replay.

    The graphs of a process share their memory, as no two run at the same time.
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
            output = step()
    except Exception:
        _pool.cache_clear()  # a failed capture may leave it in use
        raise

    def replay() -> object:
        graph.replay()
        return output

    return replay
