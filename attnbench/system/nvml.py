"""What the NVIDIA driver reports: clocks, temperature, throttling, other processes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
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
    "gpu_clock_mhz": lambda gpu: pynvml.nvmlDeviceGetClockInfo(gpu, pynvml.NVML_CLOCK_SM),
    "gpu_memory_clock_mhz": lambda gpu: pynvml.nvmlDeviceGetClockInfo(gpu, pynvml.NVML_CLOCK_MEM),
    "gpu_power_w": lambda gpu: pynvml.nvmlDeviceGetPowerUsage(gpu) / 1e3,  # of mW
    "gpu_power_state": lambda gpu: f"P{pynvml.nvmlDeviceGetPerformanceState(gpu)}",
    "gpu_temperature_c": lambda gpu: pynvml.nvmlDeviceGetTemperature(
        gpu, pynvml.NVML_TEMPERATURE_GPU
    ),
    "gpu_throttle": lambda gpu: throttles(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(gpu)),
    "gpu_other_processes": lambda gpu: _others(gpu),
}


def moment(uuid: str | None) -> Environment:
    """Return the facts of :data:`READ`; None for each that the driver does not report."""
    facts: Environment = dict.fromkeys(READ)
    device = _device(uuid)
    for name, read in READ.items() if device is not None else ():
        with suppress(pynvml.NVMLError):
            facts[name] = read(device)
    return facts


def driver() -> str | None:
    """Return the version of the driver, or None."""
    with suppress(pynvml.NVMLError):
        return str(pynvml.nvmlSystemGetDriverVersion()) if _started() else None
    return None


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
    with suppress(pynvml.NVMLError):
        pynvml.nvmlInit()
        return True
    return False


@cache
def _device(uuid: str | None) -> Any | None:
    if uuid is not None and _started():
        name = uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"
        with suppress(pynvml.NVMLError):
            return pynvml.nvmlDeviceGetHandleByUUID(name)
    return None
