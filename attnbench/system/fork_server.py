"""Imported first by the fork server: it ends with the process that started it.

Else it would outlive a killed process until it has imported all that it prepares. Linux only;
elsewhere it ends when these imports are done. A process that was killed before the server could ask
to be told of it has closed the pipe by which the server knows that it is needed.

The server ends without a traceback where a custom module writes into that pipe (the next process
starts another one), and so does a copy that was forked for a process that is killed before it has
sent the work.
"""

from __future__ import annotations

import ctypes
import os
import re
import select
import signal
import sys
from types import TracebackType

PR_SET_PDEATHSIG = 1


def report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Show an error that ends a process, but not what is only said of its pipes."""
    of_pipes = kind is EOFError or (kind is AssertionError and os.getpid() == SERVER)
    if not of_pipes:
        sys.__excepthook__(kind, error, trace)


def is_closed(pipe: int) -> bool:
    """Return whether nobody holds the other end of a pipe any more."""
    poll = select.poll()
    poll.register(pipe, 0)  # closed ends are told of unasked
    return any(seen & select.POLLHUP for _, seen in poll.poll(0))


SERVER = os.getpid()
IS_FORK_SERVER = sys.orig_argv[-1].startswith("from multiprocessing.forkserver")

if IS_FORK_SERVER:
    sys.excepthook = report

if IS_FORK_SERVER and sys.platform == "linux":
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # It was started as main(listener, pipe, ...): see ForkServer.ensure_running of the library.
    started = re.search(r"main\(\d+, (\d+),", sys.orig_argv[-1])
    if started and is_closed(int(started[1])):
        os._exit(0)
