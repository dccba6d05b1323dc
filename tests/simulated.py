"""A machine whose truth is known: a clock, and steps that move it on by what they cost.

Also what tests have a child process do, because a child can import this file by its name.
"""

from __future__ import annotations

import ctypes
import resource
from collections.abc import Callable
from dataclasses import dataclass, field
from math import exp, inf, sqrt
from random import Random

import torch

from attnbench import memory
from attnbench.allocator import keep_memory

Step = Callable[[], None]


@dataclass
class Machine:
    """A clock in the sense of ``timing.Clock``; ``log`` keeps what happened in its order.

    A step of cost c takes c times the slowness of the moment times exp(noise of the step).
    """

    seed: int = 0
    noise: float = 0.0
    """Standard deviation of a step's log-time."""
    heavy_tails: bool = False
    """Noise of Student's t with three degrees of freedom instead of the normal one."""
    drift: float = 0.0
    """The share by which everything slows down in a second."""
    jump_at_s: float = inf
    jump: float = 1.0
    """From jump_at_s on everything takes this many times as long."""
    spikes: float = 0.0
    """The share of steps that take ten times as long."""
    now: float = 0.0
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)

    def mark(self) -> float:
        self.log.append("mark")
        return self.now

    def seconds(self, start: float, end: float) -> float:
        self.log.append("wait")
        return end - start

    def step(self, cost_s: float, name: str = "step") -> Step:
        return self.steps_of(lambda _: cost_s, name)

    def steps_of(self, cost_s: Callable[[int], float], name: str = "step") -> Step:
        """A step whose cost depends on how often it ran before."""
        calls = 0

        def run() -> None:
            nonlocal calls
            self.log.append(name)
            self.now += cost_s(calls) * self._slowness() * exp(self._noise())
            calls += 1

        return run

    def _slowness(self) -> float:
        jump = self.jump if self.now >= self.jump_at_s else 1.0
        spike = 10.0 if self.random.random() < self.spikes else 1.0
        return (1.0 + self.drift * self.now) * jump * spike

    def _noise(self) -> float:
        normal = self.random.gauss(0.0, 1.0)
        if self.heavy_tails:
            normal /= sqrt(self.random.gammavariate(1.5, 2.0) / 3)  # chi-squared of 3, over 3
        return self.noise * normal


class TickingClock:
    """Every mark is a tick after the one before: a block of real work takes one tick."""

    def __init__(self, tick_s: float = 0.03125) -> None:
        self.tick_s = tick_s
        self.ticks = 0

    def mark(self) -> int:
        self.ticks += 1
        return self.ticks

    def seconds(self, start: int, end: int) -> float:
        return (end - start) * self.tick_s


def touch(size: int) -> tuple[int, int]:
    """A process's peak before and after it fills that many bytes."""
    before = memory.peak_resident_bytes()
    filled = b"x" * size
    after = memory.peak_resident_bytes()
    del filled
    return before, after


def idle_step_after_a_large_build(size: int) -> memory.Memory:
    """What is recorded of a step that takes nothing, in a process that took much before."""
    built = b"x" * size
    del built
    return memory._on_cpu(lambda: None, 0)


class TwoPartError(Exception):
    """Cannot be made again from its message alone, as pickle tries to."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(f"{what} in {where}")


def raise_two_parts() -> None:
    raise TwoPartError("fire", "the kitchen")


def faults_of_taking_again(size, times, keep):
    """Page faults of filling a block over and over, from a library that would give it back."""
    ctypes.CDLL(None).mallopt(-3, 2**16)  # the worst of luck: large blocks come from the system
    if keep:
        keep_memory()
    for _ in range(5):  # until the heap has settled
        torch.empty(size, dtype=torch.uint8).fill_(1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        torch.empty(size, dtype=torch.uint8).fill_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
