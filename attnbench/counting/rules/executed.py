"""Every operator that runs in one forward: arithmetic, memory traffic, kernels and live bytes.

Nothing is missed: functions, bare arithmetic and unknown modules all end in operators.
"""

from __future__ import annotations

import re
from dataclasses import asdict

from torch import nn

from attnbench.counting import dispatch
from attnbench.counting.operators import OPERATORS
from attnbench.counting.rule import Count, Input, Rule
from attnbench.counting.twin import twin

_ATTENTION = re.compile(r"(^|\.)attention\d*(\.|$)")
"""A second module of one block is its ``attention2``."""


def trace(model: nn.Module, given: Input) -> dispatch.Trace:
    """Trace one forward in evaluation mode, with the whole table of operators."""
    return dispatch.trace(*twin(model, given), OPERATORS)


def _in_network(path: str) -> list[str]:
    """Split a path; a detector's backbone is taken for the whole network."""
    return path.removeprefix("backbone.").removeprefix("body.").split(".")


def stage(path: str, _: str) -> str:
    """Key for ``Trace.by``: ``layer1``, or the stem's, pyramid's or head's module."""
    return _in_network(path)[0] or "network"


def block(path: str, _: str) -> str:
    """Key for ``Trace.by``: ``layer1.0``, or the stem's, pyramid's or head's module."""
    return ".".join(_in_network(path)[:2]) or "network"


def part(path: str, _: str) -> str:
    """Key for ``Trace.by``: ``attention`` or ``host``."""
    return "attention" if _ATTENTION.search(path) else "host"


def stage_and_part(path: str, operator: str) -> str:
    """Key for ``Trace.by``: ``layer1 attention``."""
    return f"{stage(path, operator)} {part(path, operator)}"


def count(model: nn.Module, given: Input) -> Count:
    """Count the whole forward; ``details`` holds the sums, ``parts`` the same by stage and part."""
    recorded = trace(model, given)
    peaks = recorded.peak_by(stage_and_part)
    return Count(
        operations=recorded.total.operations,
        not_counted=dict(recorded.not_counted),
        details=asdict(recorded.total) | {"peak_live_bytes": recorded.peak},
        parts={
            name: asdict(row) | {"peak_live_bytes": peaks[name]}
            for name, row in recorded.by(stage_and_part).items()
        },
    )


RULE = Rule(
    name="executed",
    definition=(
        "Every operator that ran, by one table: multiply-accumulates, element-wise operations "
        "and folded elements, one each; with bytes read and written, kernels and live bytes."
    ),
    source="this suite",
    count=count,
)
