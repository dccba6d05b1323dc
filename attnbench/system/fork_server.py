"""Imported first by the fork server: it ends with the process that started it.

Else it would outlive a killed process until it has imported all that it prepares. Linux only;
elsewhere it ends when these imports are done. It ends without a traceback where a custom module
writes into the pipe that tells it that nobody needs it any more (the next process starts another
one), and so does a copy that was forked for a process that is killed before it has sent the work.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from types import TracebackType

PR_SET_PDEATHSIG = 1


def report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Show an error that ends a process, but not what is only said of its pipes."""
    of_pipes = kind is EOFError or (kind is AssertionError and os.getpid() == SERVER)
    if not of_pipes:
        sys.__excepthook__(kind, error, trace)


SERVER = os.getpid()
IS_FORK_SERVER = sys.orig_argv[-1].startswith("from multiprocessing.forkserver")

if IS_FORK_SERVER:
    sys.excepthook = report

if IS_FORK_SERVER and sys.platform == "linux":
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
