"""Peak memory of one step of a network: deterministic live bytes, and what the device saw."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import torch

from attnbench.counting.live_bytes import LiveBytes
from attnbench.measuring.workload import step as make_step
from attnbench.records.schema import Case, Memory


def peak_live_bytes(step: Callable[[], object]) -> int:
    """What a warmed-up step creates and holds at once, above what stays between steps."""
    seen = LiveBytes()
    with seen:
        step()
        between = seen.live
        seen.peak = between
        step()
    return seen.peak - between


def measure(case: Case, variant: str) -> Memory:
    """The peaks of one variant. Call it in a process that has done nothing else.

    The deterministic figure comes from the meta device and costs nothing of the rest. A step
    that is timed as a CUDA graph is measured before its capture: a replay allocates nothing.
    """
    torch.set_num_threads(case.threads)
    case = replace(case, cuda_graph=False)
    live = peak_live_bytes(make_step(case, variant, "meta"))
    if case.device == "cuda":
        return _on_cuda(make_step(case, variant), live)
    return _on_cpu(make_step(case, variant), live)


def _on_cpu(step: Callable[[], object], live: int) -> Memory:
    reset_peak_resident_bytes()
    resident = resident_bytes()
    step()
    step()
    return Memory(
        peak_live_bytes=live, resident_bytes=resident, peak_resident_bytes=peak_resident_bytes()
    )


def _on_cuda(step: Callable[[], object], live: int) -> Memory:
    step()
    torch.cuda.synchronize()
    torch.cuda.empty_cache()  # what only the first step needed, cuDNN's trials for instance
    torch.cuda.reset_peak_memory_stats()
    allocated, reserved = torch.cuda.memory_allocated(), torch.cuda.memory_reserved()
    step()
    torch.cuda.synchronize()
    return Memory(
        peak_live_bytes=live,
        allocated_bytes=allocated,
        peak_allocated_bytes=torch.cuda.max_memory_allocated(),
        reserved_bytes=reserved,
        peak_reserved_bytes=torch.cuda.max_memory_reserved(),
    )


def reset_peak_resident_bytes() -> None:
    """Forget the peak so far, on Linux where the process may; building a network has one too."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def resident_bytes() -> int:
    """The process's resident size now on Linux; elsewhere its peak so far."""
    return _resident("VmRSS")


def peak_resident_bytes() -> int:
    """The peak of the process's resident size.

    On Linux from the memory map of this very program: ``getrusage`` there also remembers the
    size of the process that started it.
    """
    return _resident("VmHWM")


def _resident(field: str) -> int:
    status = Path("/proc/self/status")
    if status.exists():
        line = next(text for text in status.read_text().splitlines() if text.startswith(field))
        return int(line.split()[1]) * 1024
    import resource  # not on every system

    peak: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
