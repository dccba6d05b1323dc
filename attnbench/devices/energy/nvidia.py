"""The energy of NVIDIA's GPUs: the driver's counter, which NVML shows.

``nvmlDeviceGetTotalEnergyConsumption``: millijoules of the whole board since the driver was loaded,
on Volta and later. The driver brings it up to date some ten to fifty times a second.
"""

from __future__ import annotations

from attnbench.devices import nvml
from attnbench.devices.energy.counter import NoCounterError
from attnbench.records.schema import Environment


class NvmlCounter:
    """The counter of one GPU; its power is a sensor's, which is read apart from the counter."""

    def __init__(self, uuid: str) -> None:
        self._uuid = uuid

    def read_j(self) -> dict[str, float]:
        joules = nvml.energy_j(self._uuid)
        if joules is None:
            raise NoCounterError("--energy: the driver no longer reports this GPU's energy")
        return {"gpu": joules}

    def power_w(self) -> float | None:
        return nvml.power_w(self._uuid)


def open_counter(facts: Environment) -> NvmlCounter:
    """Return the counter of the GPU that the facts are of.

    Raises:
        NoCounterError: the driver reports none, or the device is a part of a GPU.
    """
    uuid = facts.get("gpu_uuid")
    if facts.get("gpu_mig"):
        raise NoCounterError(
            "--energy: this device is a MIG part of a GPU, and the counter is the whole GPU's, "
            "other parts included; leave --energy out"
        )
    if not isinstance(uuid, str) or nvml.energy_j(uuid) is None:
        raise NoCounterError(
            "--energy: the driver reports no energy of this GPU (NVIDIA's do since Volta, through "
            "NVML); leave --energy out"
        )
    return NvmlCounter(uuid)
