"""Imported first by the fork server: it ends with the process that started it.

Else it would outlive a killed process until it has imported all that it prepares. Linux only;
elsewhere it ends when these imports are done.
"""

from __future__ import annotations

import ctypes
import signal
import sys

PR_SET_PDEATHSIG = 1

if sys.platform == "linux" and sys.orig_argv[-1].startswith("from multiprocessing.forkserver"):
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
