"""Memory that is freed and taken again, kept out of the seconds on a CPU.

The C library gives large freed blocks back to the system when the top of its heap happens to be
free, and the next allocation then costs a page fault for every 4 KiB. Whether that happens depends
on how a process's memory lies, and it costs most where a module has many temporaries, so a ratio
would speak of the heap as much as of the module. ``benchmarks/processes.py`` measures both ways.
Allocators for GPUs keep what is freed in any case.
"""

from __future__ import annotations

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
_NEVER = 2**30


def can_keep_memory() -> bool:
    """Whether the C library is one that can be told (glibc)."""
    return platform.libc_ver()[0] == "glibc"


def keep_memory() -> None:
    """From now on this process keeps what it frees, where the C library can be told so."""
    if can_keep_memory():
        library = ctypes.CDLL(None)
        library.mallopt(_TRIM_THRESHOLD, _NEVER)
        library.mallopt(_MMAP_THRESHOLD, _NEVER)
