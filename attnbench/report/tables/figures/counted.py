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
    meaning = f"Operations for one image under the rule `{rule}`: {RULES[rule]}."
    yield Column(key, meaning, "1", f"{rule} (G)", figure(giga))
    yield added(key, "1", f"{rule} (M)", mega)


KERNELS = Column(
    "kernels",
    "Operators of one forward that launch work, under the rule `executed`.",
    "1",
    "kernels",
    figure(whole),
)


MOVED = Column(
    "moved_bytes",
    "Bytes that these read and write, each tensor once an operator.",
    "byte",
    "memory traffic (MiB)",
    figure(mebibytes),
)


COUNTED = (
    Column("params", "Learnable parameters, exact.", "1", "parameters", figure(whole)),
    added("params", "1", "parameters", whole),
    Column("thop_params", "Parameters that thop reports; it misses bare ones.", "1"),
    *(column for rule in RULES for column in _operations(rule)),
    KERNELS,
    added("kernels", "1", "kernels", whole),
    MOVED,
    added("moved_bytes", "byte", "memory traffic (MiB)", mebibytes),
)
"""What is known of counts, each also less the plain host's."""
