"""The operations of a whole training step, split into its parts: forward, backward, optimizer.

By ``executed`` and by PyTorch's own counter. Both see a warmed-up step, whose optimizer has its
momentum already, for the batch that it is given: an optimizer's work does not grow with the batch,
so there is no such figure for one image.

Operators are those of a CPU, but for gradients where PyTorch asks whether something watches: those
that meet are then added to a new tensor, and those of ``max``, ``topk``, ``sort`` and ``gather``
scattered to one. Arithmetic and bytes are the same; the peak may be one such tensor higher.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict

from torch.utils.flop_counter import FlopCounterMode, flop_registry

from attnbench.counting.as_without_mode import TakenApart
from attnbench.counting.dispatch import Trace
from attnbench.counting.operators import OPERATORS
from attnbench.counting.operators.cost import Cost
from attnbench.counting.rule import Count

EXECUTED_STEP = "executed, training step"
TORCH_STEP = "torch, training step"


def count_step(
    parts: Mapping[str, Callable[[], object]], mode: AbstractContextManager[object] | None = None
) -> dict[str, Count]:
    """Count a step, called once before, by both rules; ``mode`` is that of its tensors.

    Returns:
        By rule the whole step, and ``Count.parts`` by the step's own parts. The peak of live bytes
        does not hold what stays alive between steps, such as weights and momentum.
    """
    recorded = Trace(OPERATORS)
    flops: dict[str, int] = {}
    with mode or nullcontext():
        for part in parts.values():
            part()
        with FlopCounterMode(display=False) as counter, recorded, TakenApart():
            for name, part in parts.items():
                before = counter.get_total_flops()
                with recorded.within(name):
                    part()
                flops[name] = counter.get_total_flops() - before
    return {EXECUTED_STEP: _executed(recorded, list(parts)), TORCH_STEP: _torch(recorded, flops)}


def _executed(recorded: Trace, parts: list[str]) -> Count:
    sums = recorded.by(lambda part, _: part)
    peaks = recorded.peak_by(lambda part, _: part)
    return Count(
        operations=recorded.total.operations,
        not_counted=dict(recorded.not_counted),
        details=asdict(recorded.total) | {"peak_live_bytes": recorded.peak},
        parts={
            part: asdict(sums.get(part, Cost())) | {"peak_live_bytes": peaks.get(part, 0)}
            for part in parts
        },
    )


def _torch(recorded: Trace, flops: Mapping[str, int]) -> Count:
    known = {str(packet) for packet in flop_registry}
    calls = {name: row.kernels for name, row in recorded.by(lambda _, name: name).items()}
    ran = calls | recorded.not_counted
    return Count(
        operations=sum(flops.values()),
        not_counted={name: times for name, times in ran.items() if name not in known},
        parts={part: {"operations": operations} for part, operations in flops.items()},
    )
