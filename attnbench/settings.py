"""What is fixed in a process that measures, and stated in its records."""

from __future__ import annotations

import warnings

import torch

from attnbench import allocator, timing
from attnbench.records.schema import Case, Environment

CUDNN = {"enabled": True, "benchmark": False, "deterministic": False, "allow_tf32": True}
"""PyTorch's own defaults. Trials of algorithms (benchmark) would end differently each time."""

MATMUL_TF32 = False
"""PyTorch's own default too."""


OF_TIMING = ("cache_state", "keeps_freed_memory", "moves_weights_every_rounds")
"""Facts about timed rounds alone: they say nothing of what a network answers."""


def settle(case: Case) -> None:
    """Set this process up for a case."""
    settle_arithmetic(case.threads)
    if case.device == "cpu":
        allocator.keep_memory()
    if case.compiled:
        torch._inductor.config.force_disable_caches = True  # what compiling takes is recorded
        warnings.filterwarnings("ignore", message="dynamo_pgo force disabled")


def settle_arithmetic(threads: int) -> None:
    """What decides how numbers are computed."""
    torch.set_num_threads(threads)
    for name, value in CUDNN.items():
        setattr(torch.backends.cudnn, name, value)
    torch.backends.cuda.matmul.allow_tf32 = MATMUL_TF32


def facts(device: str) -> Environment:
    """What :func:`settle` and the engine do on a device."""
    shared: Environment = {"cache_state": "as the step before left it"}
    if device == "cpu":
        return shared | {
            "keeps_freed_memory": allocator.can_keep_memory(),
            "moves_weights_every_rounds": timing.MOVE_EVERY,
        }
    cudnn = {f"cudnn_{name}": value for name, value in CUDNN.items()}
    return shared | cudnn | {"matmul_allow_tf32": MATMUL_TF32}
