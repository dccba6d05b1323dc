"""Peak memory of one step of a network: deterministic live bytes, and the device's own figures."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path

import torch

from attnbench.counting.dispatch import Trace
from attnbench.counting.twin import copy_with, fake, fake_mode
from attnbench.devices.kind import Kind
from attnbench.devices.table import kind_of, select
from attnbench.measuring import workload
from attnbench.measuring.guard import watched
from attnbench.measuring.timing import Step
from attnbench.records.schema import Case, Memory


def peak_live_bytes(
    step: Callable[[], object], mode: AbstractContextManager[object] | None = None
) -> int:
    """Return the most bytes a warmed-up step creates and holds at once.

    What stays alive between steps is not counted.
    """
    trace = Trace(counts=False)
    with mode or nullcontext(), trace:
        step()
        between = trace.peak = trace.live
        step()
    return trace.peak - between


def measure(case: Case, variant: str) -> Memory:
    """Measure the peaks of one variant, in a process that has done nothing else.

    The deterministic figure comes from fake tensors and does not touch the others; where the
    step fails without data, it is that of two more real steps after the others. A step
    that is timed as a CUDA graph is measured before its capture, as a replay allocates nothing;
    what its capture keeps comes beside.

    Raises:
        SettingsError: a custom module changes what it is measured with.
    """
    torch.set_num_threads(case.threads)
    select(case.device)
    with watched(variant):
        eager = case
        if case.cuda_graph:
            eager = replace(case, runtime="compile" if case.compiled else "eager")
        memory = _measure(eager, variant)
        return replace(memory, graph_pool_bytes=_graph_pool(case, variant))


def _measure(case: Case, variant: str) -> Memory:
    try:
        live = peak_live_bytes(fake_step(case, variant), fake_mode())
    except Exception:
        live = None
    step = workload.step(case, variant)
    kind = kind_of(case.device)
    memory = _on_cpu(step, live or 0) if kind.name == "cpu" else on_device(step, live or 0, kind)
    return memory if live is not None else replace(memory, peak_live_bytes=peak_live_bytes(step))


def _graph_pool(case: Case, variant: str) -> int | None:
    """Return the bytes that a captured step keeps; None for one that is not captured."""
    counters = kind_of(case.device).memory
    if not case.cuda_graph or counters is None or counters.graph_pools is None:
        return None
    captured = workload.step(case, variant)
    captured()
    kind_of(case.device).synchronize()
    return counters.graph_pools()


def fake_step(case: Case, variant: str) -> Step:
    """Return a step of fake tensors on the CPU; it runs in ``twin.fake_mode``."""
    network = copy_with(workload.network(case, variant, "meta"), fake)
    image = fake(workload.image_for(case, case.input_shape, "meta"))
    if case.mode == "training":
        workload.classes_of(case)  # known from here on: it runs a forward of its own
    with fake_mode():
        return workload._step(case, network, network, image)


def _on_cpu(step: Callable[[], object], live: int) -> Memory:
    reset_peak_resident_bytes()
    resident = resident_bytes()
    step()
    step()
    return Memory(
        peak_live_bytes=live, resident_bytes=resident, peak_resident_bytes=peak_resident_bytes()
    )


def on_device(step: Callable[[], object], live: int, kind: Kind) -> Memory:
    """Read the allocator of the current device around a warmed-up step; nothing without peaks."""
    counters = kind.memory
    if counters is None:
        return Memory(peak_live_bytes=live)
    step()
    kind.synchronize()
    kind.release()  # what the first step alone needed, such as cuDNN's trials
    counters.reset_peaks()
    allocated, reserved = counters.allocated(), counters.reserved()
    step()
    kind.synchronize()
    return Memory(
        peak_live_bytes=live,
        allocated_bytes=allocated,
        peak_allocated_bytes=counters.peak_allocated(),
        reserved_bytes=reserved,
        peak_reserved_bytes=counters.peak_reserved(),
    )


def reset_peak_resident_bytes() -> None:
    """Reset the peak, which building the network may have set, where Linux permits it."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def resident_bytes() -> int:
    """Return the process's resident size in bytes; where /proc is missing, its peak so far."""
    return _resident("VmRSS")


def peak_resident_bytes() -> int:
    """Return the peak of the process's resident size, in bytes.

    On Linux from ``/proc``: ``getrusage`` there also includes the size of the parent process at
    the fork.
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
