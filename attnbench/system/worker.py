"""Work in a process of its own, which may die without taking this one along."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from typing import Any, TypeVar

T = TypeVar("T")


class ChildDiedError(RuntimeError):
    """The process ended before its work did, as one that the system kills for its memory does."""


def call(function: Callable[..., T], *args: object) -> T:
    """``function(*args)`` in another process, quickly; its exception is raised here.

    It comes from a process that has imported the function's module, and those of
    :func:`preload`, where there can be one.

    Raises:
        ChildDiedError: the process ended before it could answer.
        RuntimeError: its exception cannot be sent; this names it.
    """
    answer: T
    (answer,) = _stream(_prepared(_module(function)), _once, (function, args))
    return answer


def stream(function: Callable[..., Iterable[T]], *args: object) -> Iterator[T]:
    """The items of ``function(*args)``, made one by one in a fresh process.

    An item is only begun when the one before has been dealt with here, so that storing and
    showing it takes nothing from what the process measures. It is started from nothing: children
    of one prepared process would all have its layout of memory, which moves what is measured.
    Raises as :func:`call` does.
    """
    return _stream(_from_nothing(), function, args)


def _stream(
    context: BaseContext, function: Callable[..., Iterable[T]], args: tuple[object, ...]
) -> Iterator[T]:
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, function, args))  # type: ignore[attr-defined]
    with _interrupts_held():
        process.start()
    there.close()
    finished = False
    try:
        while (message := _ask(here)) is not None:
            kind, value = message
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
    """An interrupt waits; who is started meanwhile never sees one, not even while it imports."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ask(connection: Connection) -> tuple[str, Any] | None:
    """The next message, or None where nobody is left to send one."""
    try:
        connection.send(True)
        received = connection.recv_bytes()
    except (EOFError, ConnectionError):
        return None
    message: tuple[str, Any] = pickle.loads(received)
    return message


def _once(function: Callable[..., T], args: tuple[object, ...]) -> Iterator[T]:
    yield function(*args)


def _death(status: int) -> str:
    if status == -signal.SIGKILL:
        return "its process was killed, perhaps for want of memory"
    if -status in list(signal.Signals):
        return f"its process was killed by {signal.Signals(-status).name}"
    if status < 0:
        return f"its process was killed by signal {-status}"
    return f"its process ended with status {status}"


def _serve(
    connection: Connection, function: Callable[..., Iterable[object]], args: tuple[object, ...]
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    with suppress(OSError):  # there is no stderr
        os.dup2(2, 1)  # answers go through the connection; what somebody's code prints is no output
    messages = _messages(function, args)
    with suppress(EOFError, ConnectionError):  # the parent is gone, or wants no more
        while connection.recv():
            connection.send_bytes(next(messages))


def _messages(
    function: Callable[..., Iterable[object]], args: tuple[object, ...]
) -> Iterator[bytes]:
    try:
        for item in function(*args):
            yield pickle.dumps(("item", item))
    except (SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        yield pickle.dumps(("error", _sendable(error)))
    else:
        yield pickle.dumps(("end", None))


def _sendable(error: BaseException) -> Exception:
    """The error, or one that names it: here a KeyboardInterrupt would be taken for the user's."""
    said = ": ".join(filter(None, [type(error).__name__, str(error)]))
    if not isinstance(error, Exception):
        return ChildDiedError(f"its process was ended by {said}")
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(said)
    return error


def _from_nothing() -> BaseContext:
    return multiprocessing.get_context("spawn")


_PRELOAD: list[str] = []


def preload(module: str) -> None:
    """Have a module imported once for all children of :func:`call`; before the first of them."""
    _PRELOAD.append(module)


def _module(function: Callable[..., object]) -> str:
    module: str = getattr(function, "func", function).__module__  # a partial's own is functools
    return module


def _prepared(*modules: str) -> BaseContext:
    """Processes that start from a clean one; with the imports done once, where that works."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*_PRELOAD, *modules])
    return context
