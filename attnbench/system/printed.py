"""Pass on what a child process prints, up to a limit: custom code may print without end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from threading import Event, Thread
from typing import Generic, TypeVar

T = TypeVar("T")

MOST_BYTES = 2**16
"""Of what a child prints, as many bytes are shown."""

STDERR = 2

POLL_S = 0.05
"""How often the end is looked for, where a process that the child left keeps the pipe open."""


@dataclass(frozen=True)
class PrintingInto(Generic[T]):
    """A function whose process prints into a pipe; called in a child process alone."""

    func: Callable[..., T]
    sink: Connection

    def __call__(self, *args: object) -> T:
        """Call the function, with stdout and stderr of this process in the pipe."""
        for stream in (1, STDERR):
            os.dup2(self.sink.fileno(), stream)
        return self.func(*args)


@contextmanager
def limited(function: Callable[..., T], most: int = MOST_BYTES) -> Iterator[Callable[..., T]]:
    """Yield the function as one for a child process; what it prints goes to stderr, up to a limit.

    The pipe is emptied beyond the limit too, so that the child never waits for it.
    """
    if os.name != "posix":  # pipes are no files there
        yield function
        return
    here, there = Pipe(duplex=False)
    ended = Event()
    reader = Thread(target=_pass_on, args=(here, most, ended), daemon=True)
    reader.start()
    try:
        yield PrintingInto(function, there)
    finally:
        there.close()
        ended.set()
        reader.join()
        here.close()


def _pass_on(here: Connection, most: int, ended: Event) -> None:
    left = most
    while True:
        if not wait([here], POLL_S):
            if ended.is_set():
                return
            continue
        data = os.read(here.fileno(), 2**16)
        if not data:
            return
        _write(data[:left])
        if left and len(data) >= left:
            _write(f"\nattnbench: it has printed {most:,} bytes; more is not shown\n".encode())
        left = max(left - len(data), 0)


def _write(data: bytes) -> None:
    with suppress(OSError):  # there is no stderr
        while data:
            data = data[os.write(STDERR, data) :]
