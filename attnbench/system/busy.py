"""Whether other programs use the cores that a run computes with, and waiting until they do not.

The time of other programs is what the counters of the allowed cores show (proc_stat(5)), less that
of the process that began the run and of all that it has started: this one, a witness, the server
that forks. In a container these counters are those of the machine, so that programs outside of it
count too. Where a system has no such counters, nothing is ever waited for.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from attnbench.records.device import kind_of
from attnbench.records.schema import Case

PROC = Path("/proc")

FIRST_LOOK_S = 0.2
LOOK_S = 0.5
"""Between two looks at the counters, whose ticks are of 0.01 s."""

MOST = 0.25
"""Cores that other programs may use beyond those that the run leaves free."""

SETTLE_S = 0.002
"""A thread of this run may go on spinning for about so long when its work is done."""

MOST_LOOKS = 3


@dataclass(frozen=True)
class Use:
    """Counters of processor time, in seconds; None where the system has none."""

    at_s: float
    cores_s: float | None = None
    """Of all programs, on the cores that this process may use."""
    ours_s: Mapping[int, float] = field(default_factory=dict)
    """Of each process of this run."""
    running: int | None = None
    """Threads of any program that run or could, on any core."""

    def others_s(self, before: Use) -> float | None:
        """Return the seconds of cores that other programs took since an earlier look."""
        if self.cores_s is None or before.cores_s is None:
            return None
        ours_s = sum(
            spent_s - before.ours_s.get(process, 0.0) for process, spent_s in self.ours_s.items()
        )
        return max(self.cores_s - before.cores_s - ours_s, 0.0)


def cores() -> frozenset[int]:
    """Return the numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def read(proc: Path = PROC, parent: int | None = None) -> Use:
    """Read the counters; ``parent`` began the run. It takes some tenths of a millisecond."""
    began = os.getppid() if parent is None else parent
    ours_s = {
        process: spent_s
        for process in (began, *_started_by(proc, began))
        if (spent_s := _spent_s(proc, process)) is not None
    }
    cores_s, running = _of_all(proc / "stat", cores())
    return Use(time.monotonic(), cores_s, ours_s, running)


def _of_all(stat: Path, allowed: frozenset[int]) -> tuple[float | None, int | None]:
    """Return the seconds of all programs on these cores, and how many threads run."""
    busy_s: dict[int, float] = {}
    running: int | None = None
    with suppress(OSError, ValueError, IndexError):
        for line in stat.read_text(encoding="utf-8").splitlines():
            name, *values = line.split()
            if name.startswith("cpu") and name != "cpu":
                user, nice, system = map(int, values[:3])
                busy_s[int(name.removeprefix("cpu"))] = (user + nice + system) / _ticks()
            elif name == "procs_running":
                running = int(values[0])
    # A container may number its own cores from 0, whatever the machine's numbers are.
    counted = allowed if busy_s.keys() >= allowed else busy_s.keys()
    cores_s = sum(busy_s[number] for number in counted)
    return cores_s or None, running  # some sandboxes show zeros alone


def _started_by(proc: Path, process: int) -> Iterator[int]:
    """Yield what a process has started, and what that has started in its turn."""
    with suppress(OSError, ValueError):
        for task in (proc / str(process) / "task").iterdir():
            for child in (task / "children").read_text(encoding="utf-8").split():
                yield int(child)
                yield from _started_by(proc, int(child))


def _spent_s(proc: Path, process: int) -> float | None:
    with suppress(OSError, ValueError, IndexError):
        text = (proc / str(process) / "stat").read_text(encoding="utf-8", errors="replace")
        fields = text.rpartition(")")[2].split()  # a name may hold spaces and brackets
        return (int(fields[11]) + int(fields[12])) / _ticks()
    return None


def _ticks() -> int:
    return os.sysconf("SC_CLK_TCK")


@dataclass
class Others:
    """Looks before and after each round whether other programs use the cores of the run.

    Before a round they are waited for, ``left_s`` seconds in all rounds together. A look costs
    next to nothing where as few threads run as leave the cores free: only else, and where they
    disturbed the round before, is it counted for FIRST_LOOK_S what they use.
    """

    needed: int
    """Cores that the run computes with."""
    left_s: float = 0.0
    allowed: int = field(default_factory=lambda: len(cores()))
    present: int = field(default_factory=lambda: os.cpu_count() or 1)
    look: Callable[[], Use] = read
    sleep: Callable[[float], object] = time.sleep
    held_s: float = 0.0
    """For how long the next round was held back."""
    _before: Use | None = None
    _suspected: bool = True

    def wait(self) -> Iterator[float]:
        """Hold the next round back while others use its cores; yield for how long so far."""
        self.held_s = 0.0
        if self.left_s <= 0 or not (self._suspected or self._more_run()):
            return
        before, next_s = self.look(), FIRST_LOOK_S
        while self.left_s > 0:
            self.sleep(next_s)
            now = self.look()
            used, elapsed_s = self._beyond_s(before, now), now.at_s - before.at_s
            if used is None or used <= MOST * elapsed_s:
                return
            self.left_s -= elapsed_s
            self.held_s += elapsed_s
            before, next_s = now, LOOK_S
            yield self.held_s

    def begin(self) -> None:
        """Take the counters as they are when a round begins."""
        self._before = self.look()

    def end(self) -> float | None:
        """Return the seconds of cores that others took in the round, beyond those left free."""
        if self._before is None:
            return None
        now = self.look()
        used_s, elapsed_s = self._beyond_s(self._before, now), now.at_s - self._before.at_s
        self._suspected = used_s is not None and used_s > MOST * elapsed_s
        return used_s

    def _beyond_s(self, before: Use, now: Use) -> float | None:
        others_s = now.others_s(before)
        if others_s is None:
            return None
        return max(others_s - self._free * (now.at_s - before.at_s), 0.0)

    @property
    def _free(self) -> int:
        return max(self.allowed - self.needed, 0)

    def _more_run(self) -> bool:
        """Return whether more threads run than leave this run its cores, for longer than a spin."""
        if self.allowed < self.present:  # they may run on cores that are none of this run's
            return False
        for number in range(MOST_LOOKS):
            if number:
                self.sleep(SETTLE_S)
            running = self.look().running
            if running is None or running - 1 <= self._free:
                return False
        return True


def others_of(case: Case, left_s: float | None) -> Others:
    """Return what looks after the cores of a case; a GPU's steps take one core to issue.

    With None in the place of seconds nothing is looked at.
    """
    needed = case.threads if kind_of(case.device) == "cpu" else 1
    if left_s is None:
        return Others(needed, look=lambda: Use(0.0))
    return Others(needed, left_s)
