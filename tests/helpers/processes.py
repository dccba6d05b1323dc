"""A ticking clock, and functions that tests run in a child process, which imports this file."""

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
    """Return the process's peak before and after it fills that many bytes."""
    before = memory.peak_resident_bytes()
    filled = b"x" * size
    after = memory.peak_resident_bytes()
    del filled
    return before, after


def idle_step_after_a_large_build(size: int) -> memory.Memory:
    """Return the record of a step that takes no memory, in a process that took much before."""
    built = b"x" * size
    del built
    return memory._on_cpu(lambda: None, 0)


class TwoPartError(Exception):
    """An error that pickle cannot restore: it would pass the message alone."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(f"{what} in {where}")


def raise_two_parts() -> None:
    raise TwoPartError("fire", "the kitchen")


def faults_of_taking_again(size, times, keep):
    """Count page faults of filling a block repeatedly, where glibc would return it each time."""
    ctypes.CDLL(None).mallopt(-3, 2**16)  # the worst case: large blocks come from the system
    if keep:
        keep_memory()
    for _ in range(5):  # until the heap has settled
        torch.empty(size, dtype=torch.uint8).fill_(1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        torch.empty(size, dtype=torch.uint8).fill_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def numbered(count):
    """Yield numbers, each with the id of this process."""
    for number in range(count):
        yield number, os.getpid()


def noted(path, count):
    """Yield numbers; each is written to the file when it is begun."""
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
    """Interrupt the waiting process instead of yielding a second item."""
    yield os.getpid()
    signal.alarm(30)  # ends the process, and the test, if nothing else kills it
    os.kill(process, signal.SIGINT)
    signal.pause()


def fail_on_arrival():
    raise EOFError("torn")


class FailsOnArrival:
    """An object whose unpickling raises."""

    def __reduce__(self):
        return fail_on_arrival, ()


def give_what_fails_on_arrival():
    yield FailsOnArrival()


def throw(error: BaseException) -> None:
    raise error
