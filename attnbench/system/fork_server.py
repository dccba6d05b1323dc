"""Imported first by the fork server: it ends with the process that started it.

Else it would outlive a killed process until it has imported all that it prepares. Linux only;
elsewhere it ends when these imports are done. A copy that was forked for a process that is killed
before it has sent the work ends without a traceback.
"""

from __future__ import annotations

import ctypes
import signal
import sys
from types import TracebackType

PR_SET_PDEATHSIG = 1


def report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Show an error that ends a process, but not that there was nobody to send it any work."""
    if kind is not EOFError:
        sys.__excepthook__(kind, error, trace)


IS_FORK_SERVER = sys.orig_argv[-1].startswith("from multiprocessing.forkserver")

if IS_FORK_SERVER:
    sys.excepthook = report

if IS_FORK_SERVER and sys.platform == "linux":
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
