"""A clock that ticks, and what tests have a child process do: a child can import this file."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from pathlib import Path

import torch

from attnbench.measuring import memory
from attnbench.system.process_settings import keep_memory


class TickingClock:
    """Every mark is a tick after the one before: a block of real work takes one tick."""

    def __init__(self, tick_s: float = 0.03125) -> None:
        self.tick_s = tick_s
        self.ticks = 0

    def fill(self) -> None:
        pass

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


def numbered(count):
    """Numbers, each with the process that they come from."""
    for number in range(count):
        yield number, os.getpid()


def noted(path, count):
    """Numbers; each is written down when it is begun."""
    for number in range(count):
        with Path(path).open("a") as notes:
            notes.write(f"{number} ")
        yield number


def items_then_raise(items, error):
    yield from items
    raise error


def items_then_call(items, function, *args):
    yield from items
    function(*args)


def item_then_interrupt(process):
    """The second item is never done: it interrupts the process that waits for it."""
    yield os.getpid()
    signal.alarm(30)  # dies of it where nobody kills it before, and the test ends
    os.kill(process, signal.SIGINT)
    signal.pause()


def fail_on_arrival():
    raise EOFError("torn")


class FailsOnArrival:
    """Its other side makes it again by a call that raises."""

    def __reduce__(self):
        return fail_on_arrival, ()


def give_what_fails_on_arrival():
    yield FailsOnArrival()


def throw(error: BaseException) -> None:
    raise error
