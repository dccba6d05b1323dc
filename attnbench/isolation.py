"""A call in a process of its own, which may die without taking this one along."""

from __future__ import annotations

import multiprocessing
import pickle
import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import BaseContext
from typing import TypeVar

T = TypeVar("T")


def call(function: Callable[..., T], *args: object) -> T:
    """``function(*args)`` in a fresh process; its exception is raised here.

    Raises:
        RuntimeError: the process ended before it could answer, as one that the system kills
            for its memory does; or its exception cannot be sent, then this names it.
    """
    with ProcessPoolExecutor(1, _context(), _leave_interrupts_to_the_parent) as pool:
        try:
            return pool.submit(_answer, function, args).result()
        except BrokenProcessPool as error:
            raise RuntimeError("its process was killed, perhaps for want of memory") from error


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _answer(function: Callable[..., T], args: tuple[object, ...]) -> T:
    try:
        return function(*args)
    except SystemExit as error:
        raise RuntimeError(f"its process ended with status {error.code}") from None
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            raise RuntimeError(f"{type(error).__name__}: {error}") from None
        raise


def _context() -> BaseContext:
    """Processes that start from a clean one; with the imports done once, where that works."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["attnbench.memory"])
    return context
