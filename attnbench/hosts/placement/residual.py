"""Residual additions of a graph, and the module after which each branch ends.

An addition is residual where both sides are maps of one shape with a common source, one of them,
the branch, has more convolutions since that source, and the other, the shortcut, is the source
itself or comes to its shape by at most one convolution.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from attnbench.hosts.placement.graph import Graph, Value

ADDITIONS = {"aten.add", "aten.add_"}

CONVOLUTIONS = {"aten.convolution"}

PRODUCTS = {
    *("aten.mm", "aten.addmm", "aten.bmm", "aten.baddbmm", "aten.matmul", "aten.linear"),
    "aten.scaled_dot_product_attention",
    *(f"aten._scaled_dot_product_{way}" for way in ("flash_attention_for_cpu", "attention_math")),
}

NORMS = {
    *("aten.native_batch_norm", "aten._native_batch_norm_legit_no_training", "aten.batch_norm"),
    *("aten.cudnn_batch_norm", "aten.native_layer_norm", "aten.native_group_norm"),
    *("aten._batch_norm_no_update", "aten._native_batch_norm_legit"),
}

RESIZES = {
    f"aten.{name}{ending}"
    for name in (
        *("upsample_nearest2d", "upsample_bilinear2d", "upsample_bicubic2d", "grid_sampler_2d"),
        *("_upsample_nearest_exact2d", "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"),
        "pixel_shuffle",
    )
    for ending in ("", ".vec")
}


@dataclass(frozen=True)
class Addition:
    """An addition of two maps: where its branch ends, or why no module is put there."""

    number: int
    """Of its value."""
    module: str
    """The path of the module that adds."""
    site: str = ""
    """The path of the module that ends the branch; empty where it is refused."""
    before: bool = False
    """Whether the branch ends before that module, which hands its input on."""
    refused: str = ""


def additions(graph: Graph) -> Iterator[Addition]:
    """Yield the additions of two maps (4-D, of one shape) with a common source, in their order."""
    for number, value in enumerate(graph.values):
        if value.operator not in ADDITIONS or len(value.inputs) != 2:  # noqa: PLR2004  two sides
            continue
        one, other = value.inputs
        is_map = len(value.shape) == 4  # noqa: PLR2004  images, channels, height, width
        alike = graph.values[one].shape == graph.values[other].shape == value.shape
        common = graph.ancestors[one] & graph.ancestors[other]
        if one != other and is_map and alike and common:
            yield _addition(graph, number, one, other)


def _addition(graph: Graph, number: int, one: int, other: int) -> Addition:
    common = graph.ancestors[one] & graph.ancestors[other]
    sides = {side: [*_bits(graph, graph.ancestors[side] & ~common)] for side in (one, other)}
    adds = graph.values[number].module
    shortcut, branch = sorted(sides, key=lambda side: _count(sides[side], CONVOLUTIONS))
    if why := _no_residual(sides[branch], sides[shortcut]):
        return Addition(number, adds, refused=why)
    if graph.readers[branch] != [number] or branch in graph.outputs:
        return Addition(number, adds, refused="the branch's output is used elsewhere too")
    return _with_site(graph, number, branch)


def _no_residual(branch: Collection[Value], shortcut: Collection[Value]) -> str:
    """Return why these are no branch and shortcut, given what ran on each; empty if they are."""
    of_branch = _count(branch, CONVOLUTIONS)
    of_shortcut = _count(shortcut, CONVOLUTIONS)
    reasons = {
        "one side is resized: a pyramid": _count([*branch, *shortcut], RESIZES) > 0,
        "neither side has a convolution": of_branch == 0,
        f"the shortcut has {of_shortcut} convolutions": of_shortcut > 1,
        "both sides have one convolution, so neither is the shortcut": of_shortcut == of_branch,
        "the shortcut has a matrix product": _count(shortcut, PRODUCTS) > 0,
        "the shortcut is a norm without a convolution": _count(shortcut, NORMS) > of_shortcut == 0,
    }
    return next((why for why, applies in reasons.items() if applies), "")


def _with_site(graph: Graph, number: int, branch: int) -> Addition:
    """Find the innermost module, called once, that computed the branch's last map and ends there.

    Where none did, what computed it lies outside any module: then the last module that hands it
    on unchanged, such as an identity, has the site on its input.
    """
    adds = graph.values[number].module
    ends = [
        (path, call)
        for path, calls in graph.calls.items()
        for call in calls
        if call.output == branch and (not path or number >= call.before)
    ]
    computed = [(path, call) for path, call in ends if call.before <= branch]
    often = ""
    # Innermost first: it began last, and of those that began together its path is the longest.
    for path, _ in sorted(computed, key=lambda end: (-end[1].before, -len(end[0]))):
        if (times := len(graph.calls[path])) == 1:
            return Addition(number, adds, path)
        often = often or f"{path} ends the branch and is called {times} times"
    for path, call in ends:
        if call.before > branch and len(graph.calls[path]) == 1:
            return Addition(number, adds, path, before=True)
    operator = graph.values[branch].operator
    return Addition(
        number, adds, refused=often or f"the branch ends in {operator} outside any module"
    )


def _bits(graph: Graph, bits: int) -> Iterator[Value]:
    while bits:
        least = bits & -bits
        yield graph.values[least.bit_length() - 1]
        bits ^= least


def _count(values: Collection[Value], operators: Collection[str]) -> int:
    return sum(value.operator in operators for value in values)
