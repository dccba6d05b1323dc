"""The settings of a process that measures; its records state them."""

from __future__ import annotations

import ctypes
import platform

import torch

from attnbench.devices import table as devices
from attnbench.devices.precision import set_tf32
from attnbench.records.device import kind_of
from attnbench.records.run import MOVES
from attnbench.records.schema import Case, Environment

MOVE_EVERY = 5
"""Rounds after which weights are copied to other addresses.

The address of weights makes a step some percent faster or slower while they stay there. Moved
repeatedly, this becomes scatter that the interval includes; otherwise it would differ from process
to process and no interval would show it. ``benchmarks/processes.py`` measures both.
"""

MOVE_ISOLATED_EVERY = 1
"""The same of modules alone and of the maps that are copied beside them: steps of microseconds,
which depend on addresses more, in rounds that take as long as those of networks."""

CUDNN = {"enabled": True, "benchmark": False, "deterministic": False, "allow_tf32": True}
"""PyTorch's defaults. With ``benchmark`` (``--cudnn-benchmark``) each process could choose other
algorithms."""

MATMUL_TF32 = False
"""PyTorch's default too."""

OF_TIMING = ("cache_state", "keeps_freed_memory", MOVES)
"""Facts about timing only: they do not affect a network's outputs."""


def moves_every(case: Case) -> int:
    """Return the rounds after which what a case's steps read moves in memory."""
    return MOVE_ISOLATED_EVERY if case.isolated else MOVE_EVERY


def settle(case: Case) -> None:
    """Set up this process for a case."""
    devices.select(case.device)
    settle_arithmetic(case.threads)
    torch.backends.cudnn.benchmark = case.cudnn_benchmark
    if case.device == "cpu":
        keep_memory()


def settle_arithmetic(threads: int) -> None:
    """Set what determines how numbers are computed."""
    torch.set_num_threads(threads)
    for name in ("enabled", "benchmark", "deterministic"):
        setattr(torch.backends.cudnn, name, CUDNN[name])
    set_tf32(convolutions=CUDNN["allow_tf32"], products=MATMUL_TF32)


def facts(device: str) -> Environment:
    """Return the settings on a device, as facts of the environment."""
    shared: Environment = {"cache_state": "as the step before left it"}
    if device == "cpu":
        kept = {"keeps_freed_memory": can_keep_memory(), MOVES: MOVE_EVERY}
        return shared | kept
    if kind_of(device) != "cuda":
        return shared
    cudnn = {f"cudnn_{name}": value for name, value in CUDNN.items()}
    return shared | cudnn | {"matmul_allow_tf32": MATMUL_TF32}


_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
_NEVER = 2**30


def can_keep_memory() -> bool:
    """Return whether the C library is glibc, which can keep freed memory."""
    return platform.libc_ver()[0] == "glibc"


def keep_memory() -> None:
    """Make this process keep the memory that it frees, where the C library is glibc.

    glibc returns large freed blocks to the system when the top of its heap happens to be free, and
    the next allocation then costs a page fault for every 4 KiB. Whether that happens depends on the
    process's memory layout, and it costs most where a module has many temporaries, so a ratio would
    depend on the heap as well as on the module. ``benchmarks/processes.py`` measures both ways.
    Allocators for GPUs keep freed memory in any case.
    """
    if can_keep_memory():
        library = ctypes.CDLL(None)
        library.mallopt(_TRIM_THRESHOLD, _NEVER)
        library.mallopt(_MMAP_THRESHOLD, _NEVER)
