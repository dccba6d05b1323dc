"""A simulated clock, and functions that tests call in a child process, which can import them."""

from __future__ import annotations

import ctypes
import os
import resource
import runpy
import signal
import sys
from functools import partial
from pathlib import Path

import torch
from helpers.one_block import ONE_BLOCK

from attnbench.cli import app
from attnbench.devices.clocks import CpuClock
from attnbench.hosts.build import HOSTS
from attnbench.measuring import memory
from attnbench.measuring.latency import measure as latency
from attnbench.plugins.watch.integrity import require_unchanged
from attnbench.records import store
from attnbench.records.run import Run
from attnbench.records.schema import Record
from attnbench.system import child
from attnbench.system.disturbance import Counters
from attnbench.system.process_settings import keep_memory


class TickingClock(CpuClock):
    """A clock whose every mark is one tick after the last: a block of real work takes one tick."""

    def __init__(self, tick_s: float = 0.03125) -> None:
        self.tick_s = tick_s
        self.ticks = 0

    def mark(self) -> int:
        self.ticks += 1
        return self.ticks

    def seconds(self, start: int, end: int) -> float:
        return (end - start) * self.tick_s


def timed_records(run: Run) -> list[Record]:
    """Return the records of a run's rounds, in a host with one block a stage."""
    HOSTS["resnet50"] = ONE_BLOCK
    look = partial(Counters, awake_s=0.0)
    return [each for each in latency.measure(run, TickingClock(), look) if isinstance(each, Record)]


def renice() -> None:
    """Change what only a privileged process could change back, under a watch."""
    with require_unchanged("it"):
        os.nice(3)


def touch(size: int) -> tuple[int, int]:
    """Return a process's peak before and after it fills that many bytes."""
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
    """An error that cannot be rebuilt from its message alone, as pickle tries to."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(f"{what} in {where}")


def raise_two_parts() -> None:
    raise TwoPartError("fire", "the kitchen")


def faults_of_taking_again(size, times, keep):
    """Return the page faults of filling a block repeatedly, where the C library would return it."""
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
    """Yield numbers, each with the id of the process that they come from."""
    for number in range(count):
        yield number, os.getpid()


def noted(path, count):
    """Yield numbers; each is written to a file when it is begun."""
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
    """Yield one item; the second interrupts the process that waits for it, and never comes."""
    yield os.getpid()
    signal.alarm(30)  # ends this process, and so the test, unless it is killed before
    os.kill(process, signal.SIGINT)
    signal.pause()


def mark_and_die(numbers, *, by_error=False):
    """Yield once; then state numbers and end the process."""
    child.mark(7)
    yield None
    for number in numbers:
        child.mark(number)
    if by_error:
        raise KeyboardInterrupt
    os._exit(3)


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


def die_at_record(number: int, arguments: list[str]) -> None:
    """Run the command line until so many records are stored; then the process is killed."""
    append, stored = store.append, []

    def append_and_die(folder: Path, record: Record) -> None:
        append(folder, record)
        stored.append(record)
        if len(stored) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    store.append = append_and_die
    app.main(arguments)


def run_script(path: str, *arguments: str) -> None:
    """Run a script as its name in a terminal does."""
    sys.argv = [path, *arguments]
    runpy.run_path(path, run_name="__main__")
