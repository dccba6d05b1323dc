"""Call functions in a child process, whose death this process survives."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from typing import TypeVar

T = TypeVar("T")


class ChildDiedError(RuntimeError):
    """The child process ended before its work did, for example killed when memory ran out."""


def call(function: Callable[..., T], *args: object) -> T:
    """Return ``function(*args)`` from a child process; its exception is raised here.

    Where the system can fork, the child is forked from a process that has imported the function's
    module, and those of :data:`PRELOAD`.

    Raises:
        ChildDiedError: the child process ended before it returned.
        RuntimeError: its exception cannot be pickled; this names it.
    """
    result: T
    (result,) = _stream(_prepared(_module(function)), partial(_once, function, *args))
    return result


def stream(function: Callable[..., Iterable[T]], *args: object) -> Iterator[T]:
    """Yield the items of ``function(*args)``, computed one by one in a new child process.

    An item is only begun when this process asks for it, so that storing and printing the one
    before do not disturb what the child measures. The child is spawned: forks of one process would
    all share its memory layout, which affects times. Raises as :func:`call` does.
    """
    return _stream(_spawned(), partial(function, *args))


def _stream(context: BaseContext, work: Callable[[], Iterable[T]]) -> Iterator[T]:
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, work))  # type: ignore[attr-defined]
    with _interrupts_held():
        process.start()
    there.close()
    finished = False
    try:
        while (message := _ask(here)) is not None:
            kind, value = pickle.loads(message)
            finished = kind != "item"
            if kind == "error":
                raise value
            if finished:
                return
            yield value
        process.join()
        raise ChildDiedError(_death(process.exitcode))
    finally:
        here.close()
        if not finished:
            process.kill()
        process.join()


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Block SIGINT; a process that is started meanwhile inherits that, even while it imports."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ask(connection: Connection) -> bytes | None:
    """Ask for the next message and return it, or None if the child process has ended."""
    with suppress(EOFError, ConnectionError):
        connection.send(True)
        return connection.recv_bytes()
    return None


def _once(function: Callable[..., T], *args: object) -> Iterator[T]:
    yield function(*args)


def _death(status: int) -> str:
    if status >= 0:
        return f"the worker process ended with status {status}"
    if status == -signal.SIGKILL:
        return "the worker process was killed (SIGKILL), possibly because memory ran out"
    names = {known.value: known.name for known in signal.Signals}
    return f"the worker process was killed by {names.get(-status, f'signal {-status}')}"


def _serve(connection: Connection, work: Callable[[], Iterable[object]]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    with suppress(OSError):  # there is no stderr
        os.dup2(2, 1)  # stdout is for results; what a custom module prints goes to stderr
    messages = _messages(work)
    with suppress(EOFError, ConnectionError):  # the parent is gone, or wants no more
        while connection.recv():
            connection.send_bytes(next(messages))


def _messages(work: Callable[[], Iterable[object]]) -> Iterator[bytes]:
    try:
        for item in work():
            yield pickle.dumps(("item", item))
    except (SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        yield pickle.dumps(("error", _sendable(error)))
    else:
        yield pickle.dumps(("end", None))


def _sendable(error: BaseException) -> Exception:
    """Return the error, or one that names it if the parent cannot receive or must not raise it."""
    message = ": ".join(filter(None, [type(error).__name__, str(error)]))
    if not isinstance(error, Exception):
        # The parent would take a KeyboardInterrupt for its user's.
        return ChildDiedError(f"the worker process was ended by {message}")
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(message)
    return error


def _spawned() -> BaseContext:
    return multiprocessing.get_context("spawn")


PRELOAD: list[str] = []
"""Modules that are imported once for all children of :func:`call`, if added before the first."""


def _module(function: Callable[..., object]) -> str:
    return str(getattr(function, "func", function).__module__)  # a partial's own is functools


def _prepared(*modules: str) -> BaseContext:
    """Processes that start from a clean one; with the imports done once, where that works."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*PRELOAD, *modules])
    return context
