"""A clock that ticks, and what tests have a child process do: a child can import this file."""

from __future__ import annotations

import ctypes
import resource

import torch

from attnbench import memory
from attnbench.allocator import keep_memory


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
