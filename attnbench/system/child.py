"""The child's side of ``worker``: what runs in a child process before and around its work."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from select import select

from attnbench import temporary
from attnbench.system import messages, strays

try:
    import fcntl
except ImportError:  # there is none on Windows
    fcntl = None  # type: ignore[assignment]

LENGTH = struct.Struct("!Q")
"""What stands before a message: the number of its bytes."""

ASK = b"?"
"""What the parent sends for each message that it wants, once it has sent the work."""


MARK = struct.Struct("!H")
"""A number that the child states of what it begins; the parent reads it if the child dies."""

_marks: Connection | None = None
"""Where this process states them, if it is a child."""


def mark(number: int) -> None:
    """State what begins, so that the parent knows it should this process die or hang.

    One write to a pipe that is not read meanwhile: it neither waits nor wakes the parent.
    """
    if _marks is not None:
        with suppress(OSError):  # full, or closed by the parent
            os.write(_marks.fileno(), MARK.pack(number))


def serve(  # noqa: PLR0913, PLR0917  all that the parent gives
    end: socket.socket,
    output: Connection,
    lifeline: Connection,
    marks: Connection,
    token: str,
    folder: Path,
) -> None:
    """Receive work and answer with its items, one for each time that the parent asks.

    Temporary folders are made in ``folder``, which the parent removes however this process ends.
    Ends the process itself: what custom modules have registered with ``atexit``, and their
    threads, could keep it.
    """
    global _marks
    status = 1
    try:
        os.set_blocking(marks.fileno(), False)
        _marks = marks
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
        end_with_parent(lifeline)
        strays.mark(token)
        temporary.use(folder)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_end_copy, after_in_parent=_tell_of_copy)
        for stream in (1, 2):  # stdout is for results; what a custom module prints goes to stderr
            os.dup2(output.fileno(), stream)
        _answer(end)
        status = 0
    except SystemExit as stop:
        status = stop.code & 255 if isinstance(stop.code, int) else int(stop.code is not None)
    except (EOFError, ConnectionError):  # the parent is gone, or wants no more
        pass
    finally:
        _flush()
        os._exit(status)


def end_with_parent(lifeline: Connection) -> None:
    """Make a process group of this process; let it be killed once the parent has ended.

    That is when the other end of the lifeline closes, however the parent ended.
    """
    if fcntl is None:
        return
    with suppress(PermissionError):  # it leads a session already
        os.setpgid(0, 0)
    if hasattr(fcntl, "F_SETSIG"):
        # The kernel sends the signal itself: no thread has to run for it, nor take Python's lock.
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
        flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)
        if select([lifeline], [], [], 0)[0]:  # it closed before that
            _end_group()
    else:
        threading.Thread(target=_await_end, args=(lifeline,), daemon=True).start()


def _await_end(lifeline: Connection) -> None:
    select([lifeline], [], [])
    _end_group()


def _end_group() -> None:
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _tell_of_copy() -> None:
    with suppress(OSError):
        os.write(2, b"attnbench: a module forks the process that runs it; the copy is ended\n")


def _end_copy() -> None:
    """End a copy of this process that a module has forked: it would go on with the work."""
    os._exit(1)


def _answer(end: socket.socket) -> None:
    process, work = os.getpid(), receive(end)
    items: Iterator[object] | None = None
    while end.recv(1):
        try:
            if items is None:
                items = iter(pickle.loads(work)())
            message = messages.item(next(items))
        except StopIteration:
            message = messages.END
        except SystemExit:
            raise
        except BaseException as error:
            message = messages.error(error)
        if os.getpid() != process:  # forked by C, of which Python does not hear
            _end_copy()
        _flush()
        end.sendall(LENGTH.pack(len(message)) + message)


def receive(end: socket.socket) -> bytes:
    """Return one message, waiting for it.

    Raises:
        EOFError: the other side has closed.
    """
    (length,) = LENGTH.unpack(_exactly(end, LENGTH.size))
    return _exactly(end, length)


def _exactly(end: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        part = end.recv(min(length - len(data), 2**20))
        if not part:
            raise EOFError
        data += part
    return bytes(data)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
