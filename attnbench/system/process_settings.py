"""What is fixed in a process that measures, and stated in its records."""

from __future__ import annotations

import ctypes
import platform
import warnings

import torch

from attnbench.records.schema import Case, Environment

MOVE_EVERY = 5
"""Rounds after which steps that can be moved lie elsewhere in memory.

Where weights lie makes a step some percent faster or slower, for as long as they lie there. Moved
again and again, that is a part of the scatter that the interval sees; left alone, it would differ
from process to process and no interval would know. ``benchmarks/processes.py`` measures both.
"""

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
        keep_memory()
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
            "keeps_freed_memory": can_keep_memory(),
            "moves_weights_every_rounds": MOVE_EVERY,
        }
    cudnn = {f"cudnn_{name}": value for name, value in CUDNN.items()}
    return shared | cudnn | {"matmul_allow_tf32": MATMUL_TF32}


_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
_NEVER = 2**30


def can_keep_memory() -> bool:
    """Whether the C library is one that can be told (glibc)."""
    return platform.libc_ver()[0] == "glibc"


def keep_memory() -> None:
    """From now on this process keeps what it frees, where the C library can be told so.

    The C library gives large freed blocks back to the system when the top of its heap happens to
    be free, and the next allocation then costs a page fault for every 4 KiB. Whether that happens
    depends on how a process's memory lies, and it costs most where a module has many temporaries,
    so a ratio would speak of the heap as much as of the module. ``benchmarks/processes.py``
    measures both ways. Allocators for GPUs keep what is freed in any case.
    """
    if can_keep_memory():
        library = ctypes.CDLL(None)
        library.mallopt(_TRIM_THRESHOLD, _NEVER)
        library.mallopt(_MMAP_THRESHOLD, _NEVER)
