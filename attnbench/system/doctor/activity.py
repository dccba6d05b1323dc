"""Read Linux's files about the machine, and watch it for some seconds. No setting is changed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

WATCHED_S = 2.0


def _allowed_cores() -> int:
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return allowed or 1


@dataclass(frozen=True)
class Activity:
    """What happened while a fixed computation ran for some seconds on one core."""

    seconds: float
    block_s: tuple[float, ...]
    """Seconds of each repetition of the computation."""
    stolen_s: float | None
    """Steal time of the hypervisor, summed over cores."""
    others: Mapping[str, float] = field(default_factory=dict)
    """CPU seconds of other processes, by name."""

    @property
    def scatter(self) -> float:
        """Median deviation of a block from the median block, as a share of that."""
        middle = median(self.block_s)
        return median(abs(block - middle) for block in self.block_s) / middle


@dataclass(frozen=True)
class Machine:
    """Where the facts are read from; tests put folders and clocks of their own in place."""

    root: Path = Path("/")
    clock: Callable[[], float] = time.perf_counter
    cores: int = field(default_factory=lambda: _allowed_cores())
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def text(self, path: str) -> str | None:
        """Return a file's text without the last line break; None where it cannot be read."""
        with suppress(OSError, UnicodeDecodeError):
            return (self.root / path).read_text(encoding="utf-8").strip()
        return None

    def paths(self, pattern: str) -> list[Path]:
        """Return the files below the root that match a shell pattern."""
        return sorted(self.root.glob(pattern))


def watch(machine: Machine, seconds: float = WATCHED_S) -> Activity:
    """Repeat a fixed computation for some seconds, and read the counters before and after."""
    stolen_s, others = _stolen_s(machine), dict(_cpu_seconds(machine))
    begin = machine.clock()
    blocks: list[float] = []
    while (begun := machine.clock()) - begin < seconds or not blocks:
        sum(range(200_000))
        blocks.append(machine.clock() - begun)
    passed = machine.clock() - begin
    used: dict[str, float] = {}
    for process, cpu_s in _cpu_seconds(machine):
        name = process[1]
        used[name] = used.get(name, 0.0) + cpu_s - others.get(process, 0.0)  # or new
    after_s = _stolen_s(machine)
    stolen = None if stolen_s is None or after_s is None else after_s - stolen_s
    return Activity(passed, tuple(blocks), stolen, used)


def _stolen_s(machine: Machine) -> float | None:
    ticks = (machine.text("proc/stat") or "").partition("\n")[0].split()[8:9]  # proc_stat(5)
    return int(ticks[0]) / os.sysconf("SC_CLK_TCK") if ticks else None


def _cpu_seconds(machine: Machine) -> Iterator[tuple[tuple[int, str], float]]:
    """Yield (process, name) and CPU seconds of every process but this one: proc_pid_stat(5)."""
    for path in machine.paths("proc/[0-9]*/stat"):
        line = machine.text(str(path.relative_to(machine.root)))
        process = int(path.parent.name)
        if line is None or process == os.getpid():
            continue
        name, _, rest = line.partition("(")[2].rpartition(")")  # a name may hold brackets
        user, system = rest.split()[11:13]
        yield (process, name), (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
