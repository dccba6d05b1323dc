"""What is counted: parameters, operations by rule, kernels and memory traffic."""

from __future__ import annotations

from collections.abc import Iterator

from attnbench.formatting import giga, mebibytes, mega, whole
from attnbench.report.tables.figures.cells import added
from attnbench.report.tables.table import Column, figure

RULES = {
    "macs": "multiply-accumulates of convolutions and matrix products",
    "leaf": "layer by layer, as the papers of SGE and SA print them",
    "thop": "as the package thop counts",
    "fvcore": "as the package fvcore counts",
}
"""The rules of counting that tables show, in their order, and what each counts."""


def _operations(rule: str) -> Iterator[Column]:
    key = f"{rule}_operations"
    what = f"Operations for one image under the rule `{rule}` ({RULES[rule]})"
    yield Column(key, f"{what}.", "1", f"{rule} (G)", figure(giga))
    yield added(key, "1", f"{rule} (M)", mega, what)


_LAUNCHING = "Operators of one forward that launch work, under the rule `executed`"
_MOVING = "Bytes that the operators of one forward read and write, each tensor once an operator"

KERNELS = Column(
    "kernels",
    f"{_LAUNCHING}.",
    "1",
    "kernels",
    figure(whole),
)


MOVED = Column(
    "moved_bytes",
    f"{_MOVING}.",
    "byte",
    "memory traffic (MiB)",
    figure(mebibytes),
)


COUNTED = (
    Column("params", "Learnable parameters, exact.", "1", "parameters", figure(whole)),
    added("params", "1", "parameters", whole, "Learnable parameters"),
    Column("thop_params", "Parameters that thop reports; it misses bare ones.", "1"),
    *(column for rule in RULES for column in _operations(rule)),
    KERNELS,
    added("kernels", "1", "kernels", whole, _LAUNCHING),
    MOVED,
    added("moved_bytes", "byte", "memory traffic (MiB)", mebibytes, _MOVING),
)
"""What is known of counts, each also less the plain host's."""
