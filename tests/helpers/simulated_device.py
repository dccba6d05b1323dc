"""A device that executes behind a host that issues, on simulated clocks of both.

The host's clock advances by what a launch costs it, and where the queue is full, to when there is
room. The device begins a kernel when it is free and has heard of it.
"""

from __future__ import annotations

from collections import deque
from random import Random

from attnbench.measuring.timing import Step

QUEUE = 1024
LATENCY_S = 4e-6
"""From the end of a launch on the host to the earliest begin on the device."""

MARK_S = 3e-6
SPIN_LAUNCH_S = 5e-6


class SimulatedDevice:
    """A clock with a queue, whose kernels cost what a test says.

    ``jitter`` is the scale of the host's delays, as a share of a launch. ``error`` raises at the
    next wait, as an error of a kernel does.
    """

    spins = True

    def __init__(self, jitter: float = 0.0, seed: int = 0, capacity: int = QUEUE) -> None:
        self.host_now = self.free_at = 0.0
        self.jitter, self.random, self.capacity = jitter, Random(seed), capacity
        self.ends: deque[float] = deque()
        self.log: list[str] = []
        self.error: Exception | None = None

    @property
    def queue(self) -> SimulatedDevice:
        return self

    def launch(self, host_s: float, device_s: float) -> None:
        """Issue one kernel."""
        self.host_now += host_s * (1 + self.jitter * abs(self.random.gauss(0, 1)))
        while self.ends and self.ends[0] <= self.host_now:
            self.ends.popleft()
        if len(self.ends) >= self.capacity:
            self.host_now = max(self.host_now, self.ends.popleft())
        self.free_at = max(self.free_at, self.host_now + LATENCY_S) + device_s
        self.ends.append(self.free_at)

    def step(self, kernels: int, host_us: float, device_us: float, name: str = "step") -> Step:
        """Make a step of equal kernels."""

        def issue() -> None:
            for _ in range(kernels):
                self.launch(host_us * 1e-6, device_us * 1e-6)

        return Step({name: issue})

    def synchronize(self) -> None:
        self.log.append("synchronize")
        self._wait(self.free_at)

    def mark(self) -> float:
        self.host_now += MARK_S
        self.free_at = max(self.free_at, self.host_now + LATENCY_S)
        return self.free_at

    def seconds(self, start: float, end: float) -> float:
        self._wait(end)
        return end - start

    def host_s(self) -> float:
        return self.host_now

    def spin(self, seconds: float) -> None:
        self.log.append("spin")
        self.launch(SPIN_LAUNCH_S, seconds)

    def passed(self, mark: float) -> bool:
        return mark <= self.host_now

    def _wait(self, until: float) -> None:
        if self.error:
            raise self.error
        self.host_now = max(self.host_now, until)
