"""What the NVIDIA driver reports: clocks, temperature, throttling, other processes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pynvml
import torch

from attnbench.records.schema import Environment

THROTTLES = {
    0x04: "software power cap",
    0x08: "hardware slowdown",
    0x10: "sync boost",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
}
"""Bits of nvmlClocksThrottleReasons (nvml.h) that slow work down; idle and set clocks do not."""

READ: dict[str, Callable[[Any], str | int | float]] = {
    "gpu_clock_mhz": lambda device: pynvml.nvmlDeviceGetClockInfo(device, pynvml.NVML_CLOCK_SM),
    "gpu_memory_clock_mhz": lambda device: pynvml.nvmlDeviceGetClockInfo(
        device, pynvml.NVML_CLOCK_MEM
    ),
    "gpu_power_w": lambda device: pynvml.nvmlDeviceGetPowerUsage(device) / 1e3,  # of mW
    "gpu_power_state": lambda device: f"P{pynvml.nvmlDeviceGetPerformanceState(device)}",
    "gpu_temperature_c": lambda device: pynvml.nvmlDeviceGetTemperature(
        device, pynvml.NVML_TEMPERATURE_GPU
    ),
    "gpu_throttle": lambda device: throttles(
        pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(device)
    ),
    "gpu_other_processes": lambda device: _others(device),
}


def moment(uuid: str | None) -> Environment:
    """Return the facts of :data:`READ`; None for each that the driver does not report."""
    device = _device(uuid)
    return {name: _try(read, device) for name, read in READ.items()}


def driver() -> str | None:
    """Return the version of the driver, or None."""
    return _try(lambda _: str(pynvml.nvmlSystemGetDriverVersion()), 0) if _started() else None


def throttles(reasons: int) -> str:
    """Return the names of the bits, or an empty text where nothing throttles."""
    return ", ".join(name for bit, name in THROTTLES.items() if reasons & bit)


def _others(device: Any) -> int:
    """Return the number of processes that compute on the device, without this one."""
    running: int = len(pynvml.nvmlDeviceGetComputeRunningProcesses(device))
    # Not by process id: in a container the driver's ids are other ones.
    here = torch.cuda.is_initialized() and torch.cuda.memory_reserved() > 0
    return max(0, running - int(here))


@cache
def _started() -> bool:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return False
    return True


@cache
def _device(uuid: str | None) -> Any | None:
    if uuid is None or not _started():
        return None
    name = uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"
    return _try(lambda _: pynvml.nvmlDeviceGetHandleByUUID(name), 0)


def _try(read: Callable[[Any], Any], device: Any | None) -> Any | None:
    if device is None:
        return None
    try:
        return read(device)
    except pynvml.NVMLError:
        return None
