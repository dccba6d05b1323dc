"""CUDA graphs: all launches of a step recorded once, then replayed by one call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

import torch

CAPTURE_AFTER = 3
"""Steps before a capture, in which libraries choose their algorithms."""

_living: WeakSet[torch.cuda.CUDAGraph] = WeakSet()
"""Graphs that can be replayed, whose pool of memory the next one shares."""


@dataclass(frozen=True)
class Replay:
    """A captured step: a call replays its graph, and returns the output that it has filled.

    It holds the step too: a graph reads inputs and weights at the addresses that they had, and
    does not keep their memory.
    """

    graph: torch.cuda.CUDAGraph
    output: object
    step: Callable[[], object]

    def __call__(self) -> object:
        """Replay the step."""
        self.graph.replay()
        return self.output


def capture(step: Callable[[], object]) -> Replay:
    """Capture the step, and return its replay.

    The graphs of a process share their memory, as no two run at the same time.

    Raises:
        Exception: what the step raises while it is captured, or torch where the capture cannot end.
    """
    before = torch.cuda.current_stream()
    stream = torch.cuda.Stream()
    stream.wait_stream(before)
    with torch.cuda.stream(stream):
        for _ in range(CAPTURE_AFTER):
            step()
    before.wait_stream(stream)
    graph, own_error = torch.cuda.CUDAGraph(), None
    try:
        with torch.cuda.graph(graph, pool=_pool()):
            try:
                output = step()
            except Exception as error:
                own_error = error
                raise
    except Exception as error:
        _living.clear()  # their pool may stay in use
        torch.cuda.set_stream(before)  # torch leaves its own where the capture cannot end
        raise (own_error or error) from None  # what the end of a broken capture adds says nothing
    _living.add(graph)
    return Replay(graph, output, step)


def _pool() -> Any:  # a type of torch that has moved between versions
    """Return the pool of the living graphs; torch forgets it with the last of them."""
    for graph in _living:
        return graph.pool()
    return torch.cuda.graph_pool_handle()
