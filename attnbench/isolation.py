"""A call in a process of its own, which may die without taking this one along."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import BaseContext
from typing import TypeVar

T = TypeVar("T")


def call(function: Callable[..., T], *args: object) -> T:
    """``function(*args)`` in a fresh process; its exception is raised here.

    Raises:
        RuntimeError: the process died before it could answer, as one that the system kills
            for its memory does.
    """
    with ProcessPoolExecutor(max_workers=1, mp_context=_context()) as pool:
        try:
            return pool.submit(function, *args).result()
        except BrokenProcessPool as error:
            raise RuntimeError("its process was killed, perhaps for want of memory") from error


def _context() -> BaseContext:
    """Processes that start from a clean one; with the imports done once, where that works."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["attnbench.memory"])
    return context
