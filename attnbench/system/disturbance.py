"""What kept the machine from a round's work: system counters, read before and after it."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from attnbench.records.schema import Disturbance


@dataclass(frozen=True)
class Counters:
    """Seconds on the system's counters; None where it has no such counter."""

    awake_s: float
    all_s: float | None = None
    waited_s: float | None = None
    stolen_s: float | None = None

    def __sub__(self, before: Counters) -> Disturbance:
        awake_s = self.awake_s - before.awake_s
        all_s = _difference(self.all_s, before.all_s)
        return Disturbance(
            elapsed_s=awake_s if all_s is None else all_s,
            asleep_s=None if all_s is None else max(0.0, all_s - awake_s),
            waited_s=_difference(self.waited_s, before.waited_s),
            stolen_s=_difference(self.stolen_s, before.stolen_s),
        )


def read() -> Counters:
    """Read the counters. It takes some tens of microseconds, outside of what is timed."""
    # The two clocks differ by the time for which the machine was suspended (clock_gettime(2)).
    has_boot_time = hasattr(time, "CLOCK_BOOTTIME")
    return Counters(
        awake_s=time.monotonic(),
        all_s=time.clock_gettime(time.CLOCK_BOOTTIME) if has_boot_time else None,
        waited_s=_waited(Path("/proc/self/task")),
        stolen_s=_stolen(Path("/proc/stat")),
    )


def _waited(tasks: Path) -> float | None:
    """Return the seconds that threads waited for a core: the second field of each schedstat."""
    with suppress(OSError, IndexError, ValueError):
        states = [(task / "schedstat").read_text() for task in tasks.iterdir()]
        return sum(int(state.split()[1]) for state in states) / 1e9
    return None


def _stolen(stat: Path) -> float | None:
    with suppress(OSError, IndexError, ValueError):
        ticks = stat.read_text().split("\n", 1)[0].split()[1:]
        return int(ticks[7]) / os.sysconf("SC_CLK_TCK")  # steal time: proc_stat(5)
    return None


def _difference(value: float | None, base: float | None) -> float | None:
    return None if value is None or base is None else max(0.0, value - base)
