"""Squeeze-and-excitation modules of a host, found by what they compute."""

from __future__ import annotations

from collections.abc import Iterator

from attnbench.hosts.placement.graph import Call, Graph
from attnbench.hosts.placement.position import MAP
from attnbench.hosts.placement.residual import CONVOLUTIONS, PRODUCTS

GATED = {"aten.mul", "aten.mul_"}

POOLED = {"aten.mean", "aten._adaptive_avg_pool2d", "aten.adaptive_avg_pool2d"}

LAYERS = 2
"""The two products of a squeeze-and-excitation module: down, and up again."""


def squeeze_excite(graph: Graph) -> Iterator[str]:
    """Yield the paths of modules that scale each channel of their input by its mean's excitation.

    They are called once, average their input over space, and multiply it by what two products make
    of the averages. Nothing between has more than one place an image.
    """
    known: set[int] = set()
    innermost = sorted(graph.calls.items(), key=lambda item: -len(item[0]))
    found = {}
    for path, calls in innermost:
        if len(calls) == 1 and path and _is_one(graph, calls[0]) and calls[0].output not in known:
            known.add(calls[0].output or 0)
            found[path] = calls[0].before
    yield from sorted(found, key=found.__getitem__)


def _is_one(graph: Graph, call: Call) -> bool:
    if call.output is None or call.output < call.before:
        return False
    out = graph.values[call.output]
    entered = [number for number in out.inputs if number < call.before]
    within = graph.values[call.before : call.output]
    if out.operator not in GATED or len(entered) != 1 or len(out.shape) != MAP:
        return False
    products = sum(value.operator in CONVOLUTIONS | PRODUCTS for value in within)
    return (
        graph.values[entered[0]].shape == out.shape
        and products == LAYERS
        and any(value.operator in POOLED for value in within)
        and all(set(value.shape[2:]) <= {1} for value in within)
    )
