"""What of a process decides how fast its work runs: its settings, threads, copies and children."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import tracemalloc
import warnings
from _thread import _count as count_started_threads  # type: ignore[attr-defined]
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from types import FunctionType

from attnbench.text import printable

try:
    import resource
except ImportError:  # there is none on Windows
    resource = None  # type: ignore[assignment]

GARBAGE_COLLECTION = "garbage collection"
"""The setting that the timed rounds change themselves."""

BUSY = 0.1
"""A thread is busy that runs for more than this share of the time."""

COMPILER = "torch._inductor.compile_fx"
"""Loaded by the first ``torch.compile`` of a process, which starts threads and processes to keep.
Of those that a custom module started so, only busy ones count."""

ASLEEP = ("tqdm.",)
"""Where classes of threads are defined that sleep, but for a moment now and then."""

_TASKS, _CHILDREN = Path("/proc/self/task"), Path("/proc/thread-self/children")
_TIMERS = ("ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF")


LIMITED = ("RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_DATA", "RLIMIT_MEMLOCK", "RLIMIT_STACK")
"""Limits of a process at which another module would fail; not those of files, which are raised by
modules that load data."""


def _handlers() -> dict[str, str]:
    """Return the signals that are not as at the start of a program, each with what handles it."""
    handlers = ((number.name, signal.getsignal(number)) for number in signal.Signals)
    return {name: _handled(known) for name, known in handlers if known is not signal.SIG_DFL}


def _handled(handler: object) -> str:
    """Return what handles a signal, asking nothing of foreign objects."""
    if handler is signal.SIG_IGN:
        return "ignored"
    if handler is signal.default_int_handler:
        return "an interrupt"
    if type(handler) is FunctionType:
        return f"{handler.__qualname__} at {id(handler):#x}"
    return f"an object at {id(handler):#x}"


def _limits() -> object:
    return resource and {
        name: resource.getrlimit(getattr(resource, name))
        for name in LIMITED
        if hasattr(resource, name)
    }


def folder() -> str:
    """Return the working folder, in words where there is none any more."""
    try:
        return os.getcwd()  # noqa: PTH109  a path's costs more
    except OSError:
        return "one that does not exist any more"


def _raised_warnings() -> int:
    return sum(action == "error" for action, *_ in warnings.filters)


def _timers() -> object:
    if not hasattr(signal, "getitimer"):
        return None
    return tuple(any(signal.getitimer(getattr(signal, name))) for name in _TIMERS)


def _monitoring() -> object:
    monitoring = getattr(sys, "monitoring", None)  # since Python 3.12
    return monitoring and tuple(map(monitoring.get_tool, range(6)))


SETTINGS: dict[str, Callable[[], object]] = {
    GARBAGE_COLLECTION: gc.isenabled,
    "thresholds of garbage collection": gc.get_threshold,
    "callbacks of garbage collection": lambda: len(gc.callbacks),
    "trace function": sys.gettrace,
    "profile function": sys.getprofile,
    "trace function of new threads": threading.gettrace,
    "profile function of new threads": threading.getprofile,
    "monitoring tools": _monitoring,
    "thread switch interval": sys.getswitchinterval,
    "signal handlers": _handlers,
    "timers": _timers,
    "resource limits": _limits,
    "working folder": folder,
    "number of filters that raise warnings": _raised_warnings,
    "tracing of allocations": tracemalloc.is_tracing,
}
"""Settings of Python in this process, each with the function that reads it."""

DEFAULT = "the default"
"""Of a part of a setting that is not among those that are read."""


def texts(name: str) -> dict[str, str]:
    """Return a setting as text by its parts; one without parts has the part ''."""
    known = SETTINGS[name]()
    if isinstance(known, dict):
        return {f", {part}": str(value) for part, value in known.items()}
    return {"": str(known)}


class Threads:
    """The threads and child processes there are when this is made, and how they are scheduled."""

    def __init__(self) -> None:
        self.compiler = COMPILER in sys.modules
        self.started = count_started_threads()
        self.alive = {*threading.enumerate()}
        self.children = _children()
        self.native = {task: _scheduled(task) for task in _tasks()}
        self.forks = _FORKS.made
        self.ran_s: dict[int, float] = {}
        self.looked_s = monotonic()

    def changed(self) -> Iterator[str]:
        """Yield how a thread is scheduled otherwise than before, as text."""
        for task in _tasks() & self.native.keys():
            before, now = self.native[task], _scheduled(task)
            if now and now != before:
                for name, value in now.items():
                    if value != before.get(name, value):
                        yield f"the process's {name} from {before[name]} to {value}"
                return

    def left(self, idle: bool) -> Iterator[str]:
        """Yield what is left running, as ends of "it ...".

        Where no foreign code has run since the last look, ``idle``, a thread started since this
        was made is looked at as well: it must not have been busy meanwhile.
        """
        if _FORKS.made > self.forks:
            yield "forks the process"
        if self.compiler or COMPILER not in sys.modules:
            yield from self._started()
        now_s = monotonic()
        ran_s = {task: _ran_s(task) for task in _tasks() - self.native.keys()}
        for task, seconds in ran_s.items():
            spent_s = seconds - self.ran_s.get(task, seconds)
            if idle and spent_s > BUSY * (now_s - self.looked_s):
                yield "leaves a thread running that keeps a core busy"
                break
        self.ran_s, self.looked_s = ran_s, now_s

    def _started(self) -> Iterator[str]:
        new = [thread for thread in threading.enumerate() if thread not in self.alive]
        sleeping = sum(type(thread).__module__.startswith(ASLEEP) for thread in new)
        if count_started_threads() > self.started + sleeping:
            names = [t.name for t in new if not type(t).__module__.startswith(ASLEEP)]
            which = f" ({printable(names[0], 40)})" if names else ""
            yield f"leaves a thread running{which}"
        if more := _children() - self.children:
            yield f"leaves a process running (process {min(more)})"


Scheduled = dict[str, object]


def _scheduled(task: int) -> Scheduled:
    """Return how the system schedules a thread; empty where it has ended or cannot be asked."""
    with suppress(OSError, AttributeError):
        return {
            "niceness": os.getpriority(os.PRIO_PROCESS, task),
            "scheduling policy": os.sched_getscheduler(task),
            "cores": sorted(os.sched_getaffinity(task)),
        }
    return {}


def _tasks() -> set[int]:
    with suppress(OSError):
        return {int(name) for name in os.listdir(_TASKS)}  # noqa: PTH208  a path each costs more
    return {0}  # the calling thread


def _children() -> set[int]:
    with suppress(OSError):
        return set(map(int, _CHILDREN.read_text().split()))
    return set()


def _ran_s(task: int) -> float:
    with suppress(OSError, ValueError):
        return int((_TASKS / str(task) / "schedstat").read_text().split()[0]) / 1e9
    return 0.0


@dataclass
class _Forks:
    """How often this process was forked; ``system.child`` ends the copies."""

    made: int = 0

    def count(self) -> None:
        self.made += 1


_FORKS = _Forks()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_parent=_FORKS.count)
