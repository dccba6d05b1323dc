"""What the NVIDIA driver reports: clocks, temperature, power, throttling, other processes.

A function or field that a driver or its bindings lack is a missing fact, never an error. Those of a
MIG device are its whole GPU's, but for the processes on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
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
"""Bits of nvmlClocksEventReasons (nvml.h) that slow work down; idle and set clocks do not."""

SET_CLOCK = 0x02
"""The bit by which a clock that was set for applications holds the device at that moment."""


@dataclass(frozen=True)
class Device:
    """The handle of a device, and that of the GPU which it is a part of, or is."""

    own: Any
    gpu: Any


Fact = str | int | float | bool | None
Reads = Mapping[str, Callable[[Device], Fact]]

MOMENT: Reads = {
    "gpu_clock_mhz": lambda of: int(pynvml.nvmlDeviceGetClockInfo(of.gpu, pynvml.NVML_CLOCK_SM)),
    "gpu_memory_clock_mhz": lambda of: int(
        pynvml.nvmlDeviceGetClockInfo(of.gpu, pynvml.NVML_CLOCK_MEM)
    ),
    "gpu_power_w": lambda of: float(pynvml.nvmlDeviceGetPowerUsage(of.gpu) / 1e3),  # of mW
    "gpu_power_instant_w": lambda of: _field(of.gpu, pynvml.NVML_FI_DEV_POWER_INSTANT) / 1e3,
    "gpu_power_state": lambda of: f"P{pynvml.nvmlDeviceGetPerformanceState(of.gpu)}",
    "gpu_temperature_c": lambda of: int(
        pynvml.nvmlDeviceGetTemperature(of.gpu, pynvml.NVML_TEMPERATURE_GPU)
    ),
    "gpu_throttle": lambda of: throttles(_reasons(of.gpu)),
    "gpu_clock_is_set": lambda of: bool(_reasons(of.gpu) & SET_CLOCK),
    "gpu_other_processes": lambda of: _others(of.own),
}
"""Facts that change during a run. ``gpu_power_w`` is a mean, of a second on some GPUs.

Whether clocks are locked (``nvidia-smi --lock-gpu-clocks``) the driver does not say: known are the
clock that is set for applications, whether it holds the device, the highest, and the present one.
"""

CONSTANT: Reads = {
    "gpu_power_limit_w": lambda of: float(pynvml.nvmlDeviceGetEnforcedPowerLimit(of.gpu) / 1e3),
    "gpu_power_limit_default_w": lambda of: float(
        pynvml.nvmlDeviceGetPowerManagementDefaultLimit(of.gpu) / 1e3
    ),
    "gpu_clock_max_mhz": lambda of: int(
        pynvml.nvmlDeviceGetMaxClockInfo(of.gpu, pynvml.NVML_CLOCK_SM)
    ),
    "gpu_memory_clock_max_mhz": lambda of: int(
        pynvml.nvmlDeviceGetMaxClockInfo(of.gpu, pynvml.NVML_CLOCK_MEM)
    ),
    "gpu_clock_target_mhz": lambda of: int(
        pynvml.nvmlDeviceGetApplicationsClock(of.gpu, pynvml.NVML_CLOCK_SM)
    ),
    "gpu_persistence": lambda of: bool(pynvml.nvmlDeviceGetPersistenceMode(of.gpu)),
    "gpu_mps_processes": lambda of: len(pynvml.nvmlDeviceGetMPSComputeRunningProcesses(of.gpu)),
    "gpu_mig": lambda of: of.own is not of.gpu,
}
"""Facts that do not. ``gpu_clock_target_mhz`` is the clock that was set for applications."""

MISSING = (pynvml.NVMLError, AttributeError)
"""What a query raises where the driver, the device or the bindings do not know it."""


def moment(uuid: str | None) -> Environment:
    """Return the facts of :data:`MOMENT`; None for each that the driver does not report."""
    return _read(MOMENT, uuid)


def constants(uuid: str | None) -> Environment:
    """Return the facts of :data:`CONSTANT`; None for each that the driver does not report."""
    return _read(CONSTANT, uuid)


def driver() -> str | None:
    """Return the version of the driver, or None."""
    with suppress(*MISSING):
        return str(pynvml.nvmlSystemGetDriverVersion()) if _started() else None
    return None


def energy_j(uuid: str) -> float | None:
    """Return the joules that the GPU has taken since its driver was loaded, or None."""
    device = _device(uuid)
    with suppress(*MISSING):
        if device is not None:
            return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(device.gpu) / 1e3)  # of mJ
    return None


def power_w(uuid: str) -> float | None:
    """Return the GPU's power at this moment, or its mean where only that is reported, or None."""
    device = _device(uuid)
    for name in ("gpu_power_instant_w", "gpu_power_w"):
        with suppress(*MISSING):
            power = MOMENT[name](device) if device is not None else None
            if power is not None:
                return float(power)
    return None


def throttles(reasons: int) -> str:
    """Return the names of the bits, or an empty text where nothing throttles."""
    return ", ".join(name for bit, name in THROTTLES.items() if reasons & bit)


def _read(reads: Reads, uuid: str | None) -> Environment:
    facts: Environment = dict.fromkeys(reads)
    device = _device(uuid)
    if device is None:
        return facts
    for name, read in reads.items():
        with suppress(*MISSING):
            facts[name] = read(device)
    return facts


def _reasons(gpu: Any) -> int:
    """Return why clocks are lower, by the function's present name, else by its old one."""
    with suppress(*MISSING):
        return int(pynvml.nvmlDeviceGetCurrentClocksEventReasons(gpu))
    return int(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(gpu))


def _field(gpu: Any, field: int) -> int:
    (value,) = pynvml.nvmlDeviceGetFieldValues(gpu, [field])
    if value.nvmlReturn != pynvml.NVML_SUCCESS:
        raise pynvml.NVMLError(value.nvmlReturn)
    return int(value.value.uiVal)


def _others(own: Any) -> int:
    """Return the number of processes that compute on the device, without this one."""
    running: int = len(pynvml.nvmlDeviceGetComputeRunningProcesses(own))
    # Not by process id: in a container the driver's ids are other ones.
    here = torch.cuda.is_initialized() and torch.cuda.memory_reserved() > 0
    return max(0, running - int(here))


@cache
def _started() -> bool:
    with suppress(*MISSING):
        pynvml.nvmlInit()
        return True
    return False


@cache
def _device(uuid: str | None) -> Device | None:
    if uuid is None or not _started():
        return None
    known = uuid.startswith(("GPU-", "MIG-"))
    for name in (uuid,) if known else (f"GPU-{uuid}", f"MIG-{uuid}"):
        with suppress(*MISSING):
            own = pynvml.nvmlDeviceGetHandleByUUID(name)
            return Device(own, _whole(own) if name.startswith("MIG-") else own)
    return None


def _whole(part: Any) -> Any:
    """Return the GPU that a MIG device is a part of; the part where the driver does not tell."""
    with suppress(*MISSING):
        return pynvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(part)
    return part
