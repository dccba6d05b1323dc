"""GPUs that torch calls ``cuda``: NVIDIA's, and AMD's where torch is built for ROCm."""

from __future__ import annotations

import torch

from attnbench.devices.clocks import EventClock
from attnbench.devices.kind import Kind


class CudaClock(EventClock):
    """The clock of the current device: its events."""

    def __init__(self) -> None:
        super().__init__(
            lambda: torch.cuda.Event(enable_timing=True),
            lambda: torch.cuda.synchronize(),
            lambda cycles: torch.cuda._sleep(cycles),
        )


KIND = Kind(
    name="cuda",
    clock=CudaClock,
    release=lambda: torch.cuda.empty_cache(),
    synchronize=lambda: torch.cuda.synchronize(),
)
