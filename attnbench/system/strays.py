"""End processes that a child process has started and that left its process group.

They are found by a variable of the environment, which programs inherit from what starts them.
Linux only; a program that is started with an empty environment is not found.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

VARIABLE = "ATTNBENCH_WORKER"

MOST_LOOKS = 5
"""A process may start another while it is being ended."""


def mark(token: str) -> None:
    """Mark this process, so that what it starts from now on can be found by the token."""
    os.environ[VARIABLE] = token


def end(token: str) -> None:
    """Kill every process that carries the token."""
    for _ in range(MOST_LOOKS):
        found = [*_marked(f"{VARIABLE}={token}".encode())]
        for process in found:
            with suppress(OSError):
                os.kill(process, signal.SIGKILL)
        if not found:
            return


def _marked(entry: bytes) -> Iterator[int]:
    own = os.getuid() if hasattr(os, "getuid") else None
    with suppress(OSError), os.scandir("/proc") as known:
        for item in known:
            with suppress(OSError):
                if item.name.isdecimal() and item.stat().st_uid == own:
                    variables = Path(item.path, "environ").read_bytes()
                    if entry in variables.split(b"\0"):
                        yield int(item.name)
