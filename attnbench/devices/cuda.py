"""GPUs that torch calls ``cuda``: NVIDIA's, and AMD's where torch is built for ROCm."""

from __future__ import annotations

import os
from typing import Any

import torch

from attnbench.devices import nvml
from attnbench.devices.clocks import EventClock
from attnbench.devices.energy import nvidia
from attnbench.devices.kind import Kind, MemoryCounters
from attnbench.records.schema import Environment


class CudaClock(EventClock):
    """The clock of the current device: its events."""

    def __init__(self) -> None:
        super().__init__(
            lambda: torch.cuda.Event(enable_timing=True),
            lambda: torch.cuda.synchronize(),
            lambda cycles: torch.cuda._sleep(cycles),
        )


VARIABLES = {
    "cuda_visible_devices": "CUDA_VISIBLE_DEVICES",
    "allocator_settings": "PYTORCH_CUDA_ALLOC_CONF",
    "tf32_override": "NVIDIA_TF32_OVERRIDE",
    "mps_pipe": "CUDA_MPS_PIPE_DIRECTORY",
    "launch_blocking": "CUDA_LAUNCH_BLOCKING",
}
"""Facts that are variables of the process's environment; None where one is not set."""

ALLOCATOR = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_HIP_ALLOC_CONF")
"""The same settings under a newer name, an older one, and ROCm's."""

PROPERTIES = {
    "gpu_sm_count": "multi_processor_count",
    "gpu_l2_bytes": "L2_cache_size",
    "gpu_memory_bytes": "total_memory",
}
"""Facts that are properties of the device; None where this torch does not have one."""


def facts(number: int) -> Environment:
    """Return what does not change during a run: device, libraries, settings from outside."""
    properties: Any = torch.cuda.get_device_properties(number)
    uuid = str(getattr(properties, "uuid", "")) or None  # torch 2.6 has none on some platforms
    rocm = torch.version.hip is not None
    known: Environment = {
        "gpu": properties.name,
        "gpu_uuid": uuid,
        **{name: getattr(properties, of, None) for name, of in PROPERTIES.items()},
        "cuda": torch.version.cuda,
        **{name: os.environ.get(variable) for name, variable in VARIABLES.items()},
    }
    settings = (os.environ.get(variable) for variable in ALLOCATOR)
    known["allocator_settings"] = next(filter(None, settings), None)
    # cuDNN's version is MIOpen's in a build for ROCm.
    known["miopen" if rocm else "cudnn"] = torch.backends.cudnn.version()
    if rocm:
        return known | {
            "hip": torch.version.hip,
            "gpu_architecture": getattr(properties, "gcnArchName", None),
        }
    capability = f"{properties.major}.{properties.minor}"
    known |= {"gpu_compute_capability": capability, "gpu_driver": nvml.driver()}
    return known | nvml.constants(uuid) | nvml.moment(uuid)


def graph_pools() -> int:
    """Return the bytes of all segments in private pools: those of captured steps."""
    segments: Any = torch.cuda.memory_snapshot()
    return sum(
        segment["total_size"]
        for segment in segments
        if tuple(segment.get("segment_pool_id", SHARED_POOL)) != SHARED_POOL
    )


SHARED_POOL = (0, 0)

MEMORY = MemoryCounters(
    reset_peaks=lambda: torch.cuda.reset_peak_memory_stats(),
    allocated=lambda: torch.cuda.memory_allocated(),
    peak_allocated=lambda: torch.cuda.max_memory_allocated(),
    reserved=lambda: torch.cuda.memory_reserved(),
    peak_reserved=lambda: torch.cuda.max_memory_reserved(),
    graph_pools=graph_pools,
)

KIND = Kind(
    name="cuda",
    title="CUDA",
    clock=CudaClock,
    count=lambda: max(1, torch.cuda.device_count()) if torch.cuda.is_available() else 0,
    select=lambda number: torch.cuda.set_device(number),
    release=lambda: torch.cuda.empty_cache(),
    synchronize=lambda: torch.cuda.synchronize(),
    facts=facts,
    energy=nvidia.open_counter,
    memory=MEMORY,
    copy_bytes=2**28,
    product_size=8192,
    graphs=True,
)
