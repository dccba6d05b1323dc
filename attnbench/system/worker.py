"""Call functions in a child process, whose death this process survives, and which it outlives."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import pickle
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from multiprocessing import connection, forkserver, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from pathlib import Path
from secrets import token_hex
from time import monotonic, sleep
from typing import TypeVar

from attnbench import temporary
from attnbench.errors import UserError
from attnbench.records.bounds import LONGEST_S
from attnbench.system import child, messages, strays
from attnbench.system.child_warnings import OnceFilter
from attnbench.system.messages import ChildDiedError as ChildDiedError

T = TypeVar("T")

TIMEOUT_S = 600.0
"""Most time until a child gives its next answer, where :func:`time_limit` states no other."""

MOST_OUTPUT = 2**16
"""Bytes that are shown of what a child prints."""

MOST_MESSAGE = 2**28
"""Bytes of a message; what a child sends is kept whole in memory."""

LOOK_S = 1.0
"""How often a child is looked after that a process of its own may outlive unnoticed."""

END_S = 10.0
"""How long a process may take to end once it is dying: its memory has to be freed."""

_limit_s: ContextVar[float] = ContextVar("_limit_s", default=TIMEOUT_S)


class TimedOutError(ChildDiedError):
    """The child gave no answer in time, and was ended with all that it had started."""


def require_timeout(seconds: float) -> None:
    """Check that a child can be given that time.

    Raises:
        UserError: it is not a positive number, or longer than any system call can wait.
    """
    if not 0 < seconds < LONGEST_S:
        raise UserError(
            f"the timeout must be a positive number of seconds below {LONGEST_S:g}, not {seconds:g}"
        )


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Allow a child that many seconds for each answer, in calls and streams of the body.

    An answer is the result of a call, or the next item of a stream: a variant's warm-up, a round.

    Raises:
        UserError: as :func:`require_timeout`.
    """
    if seconds is None:
        yield
        return
    require_timeout(seconds)
    token = _limit_s.set(seconds)
    try:
        yield
    finally:
        _limit_s.reset(token)


def call(function: Callable[..., T], *args: object) -> T:
    """Return ``function(*args)`` from a child process; its exception is raised here.

    Where the system can fork, the child is forked from a process that has imported the function's
    module, and those of :data:`PRELOAD`. Results are plain values and dataclasses of the package;
    see ``messages`` for what becomes of exceptions.

    Raises:
        ChildDiedError: the child process ended before it returned.
        TimedOutError: it was ended, because it did not return in time.
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
    worker = _Worker(context)
    try:
        worker.begin(pickle.dumps(work))
        while True:
            kind, value = messages.read(worker.ask())
            if kind == "error":
                if isinstance(value, ChildDiedError):
                    value.mark = worker.mark()
                raise value
            if kind == "end":
                return
            yield value
    finally:
        worker.end()


_LIVING: set[_Worker] = set()
"""Workers whose processes have begun and not ended."""


def _end_all() -> None:
    for living in [*_LIVING]:
        living.end()


# Before multiprocessing waits for its children, as what was registered last is called first: a
# stream that something still holds, such as a traceback, would keep the program from its end.
atexit.register(_end_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_LIVING.clear)  # a copy's end is not that of their program


class _Worker:
    """A child process with the ends of its connections that are here."""

    def __init__(self, context: BaseContext) -> None:
        self._context = context
        self._socket, self._child_socket = socket.socketpair()
        self._output, self._child_output = context.Pipe(duplex=False)
        self._child_lifeline, self._lifeline = context.Pipe(duplex=False)
        self._marks, self._child_marks = context.Pipe(duplex=False)
        os.set_blocking(self._marks.fileno(), False)
        self._output_left = MOST_OUTPUT
        self._once = OnceFilter()
        self._token = token_hex(16)
        self._folder = temporary.made()
        self._process = self._new_process()

    def begin(self, work: bytes) -> None:
        """Start the process and send its work."""
        _LIVING.add(self)
        deadline = monotonic() + END_S
        while True:
            try:
                self._start()
                break
            except (EOFError, ConnectionError) as error:
                # The fork server is dying; once it has ended, a new one is started.
                if monotonic() > deadline:
                    raise ChildDiedError("the worker process could not be started") from error
                sleep(0.02)
                self._process = self._new_process()
        for end in self._child_ends:
            end.close()
        self._socket.settimeout(_limit_s.get())
        with suppress(ConnectionError):  # it has died, which asking finds
            self._socket.sendall(child.LENGTH.pack(len(work)) + work)

    def _new_process(self) -> multiprocessing.Process:
        process: multiprocessing.Process = self._context.Process(  # type: ignore[attr-defined]
            target=child.serve,
            args=(*self._child_ends, self._token, self._folder),
        )
        return process

    @property
    def _child_ends(self) -> tuple[socket.socket, Connection, Connection, Connection]:
        """The child's ends, which it inherits."""
        return self._child_socket, self._child_output, self._child_lifeline, self._child_marks

    def _start(self) -> None:
        _start_tracker()
        # What it starts from has imports to do, during which an interrupt must be heard here.
        if self._context.get_start_method() == "forkserver":
            temporary.keep_sockets()
            with _interrupts_held():
                forkserver.ensure_running()
            _wake_fork_server()
            self._process.start()
        else:
            with _interrupts_held():
                self._process.start()

    def ask(self) -> bytes:
        """Ask for the next message and return it; meanwhile show what the child prints.

        Raises:
            ChildDiedError: it has ended.
            TimedOutError: it has not answered in time.
        """
        limit_s = _limit_s.get()
        deadline = monotonic() + limit_s
        received = bytearray()
        self.mark()  # those of the item before
        with suppress(EOFError, ConnectionError):
            self._socket.sendall(child.ASK)
            while (left_s := deadline - monotonic()) > 0:
                ready = self._ready(min(left_s, LOOK_S))
                if self._output in ready:
                    self._show()
                if self._socket in ready:
                    received += self._received()
                    if message := _whole(received):
                        return message
                elif self._process.exitcode is not None and not self._ready(0.0):
                    raise EOFError  # a process of its own holds the connection open
            raise self._marked(
                TimedOutError(
                    f"no answer within {limit_s:g} s, so its process was ended; "
                    "--timeout SECONDS allows more"
                )
            )
        raise self._marked(ChildDiedError(self._death()))

    def mark(self) -> int | None:
        """Return the last of the child's marks that were not read yet."""
        last = None
        with suppress(OSError):
            while data := os.read(self._marks.fileno(), MOST_OUTPUT):
                whole = data[: len(data) - len(data) % child.MARK.size]
                last = child.MARK.unpack(whole[-child.MARK.size :])[0] if whole else last
        return last

    def _marked(self, error: ChildDiedError) -> ChildDiedError:
        error.mark = self.mark()
        return error

    def _ready(self, timeout_s: float) -> list[object]:
        ends: list[socket.socket | Connection] = [self._socket]
        if not self._output.closed:
            ends.append(self._output)
        return list(connection.wait(ends, timeout_s))

    def _received(self) -> bytes:
        part = self._socket.recv(2**20)
        if not part:
            raise EOFError
        return part

    def _show(self) -> None:
        """Show on stderr what the child has printed, up to a limit."""
        data = os.read(self._output.fileno(), MOST_OUTPUT)
        if not data:
            self._output.close()
        shown = data[: self._output_left]
        if len(shown) < len(data) and self._output_left >= 0:
            shown += b"\nattnbench: further output is dropped\n"
            self._output_left = -1
        elif self._output_left >= 0:
            self._output_left -= len(shown)
        else:
            shown = b""
        _write(self._once.passed(shown))

    def _death(self) -> str:
        _await_end(self._process)
        if (status := self._process.exitcode) is None:
            return "the worker process closed its connection without an answer"
        return _described(status)

    def end(self) -> None:
        """Kill the process and all that it has started."""
        _LIVING.discard(self)
        if (process := self._process.pid) is not None:
            with suppress(OSError):  # there is none any more, or not yet
                os.killpg(process, signal.SIGKILL) if hasattr(os, "killpg") else None
            self._process.kill()
        self._lifeline.close()  # which ends a process that is not known here yet
        if process is not None:
            _wake_fork_server()  # which tells of the end of a process that it has forked
            _await_end(self._process)
            strays.end(self._token)
            while self._output_left >= 0 and not self._output.closed and self._output.poll():
                self._show()
            _write(self._once.rest())
        temporary.discard(self._folder)
        for end in (self._socket, self._output, self._marks, *self._child_ends):
            end.close()


def _write(text: bytes) -> None:
    with suppress(OSError):  # there is no stderr
        while text:
            text = text[os.write(2, text) :]


def _whole(received: bytearray) -> bytes | None:
    """Return the message that was received, or None as long as it is not whole."""
    start = child.LENGTH.size
    if len(received) < start:
        return None
    (length,) = child.LENGTH.unpack_from(received)
    if length > MOST_MESSAGE:
        raise ChildDiedError(f"the worker process sent a message of {length:,} bytes")
    return bytes(received[start : start + length]) if len(received) >= start + length else None


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


def _start_tracker() -> None:
    """Start the process that removes semaphores which a killed child has left, without a word.

    ``torch.compile`` makes some. Python would warn of them at the end of the run, and show a
    traceback of that process where a custom module writes what is no command into its pipe.
    """
    sys.warnoptions.append("ignore:resource_tracker:UserWarning")  # passed on to the process
    try:
        with _without_errors():
            resource_tracker.ensure_running()
    finally:
        sys.warnoptions.pop()


@contextmanager
def _without_errors() -> Iterator[None]:
    """Give processes that are started meanwhile a standard error that nobody reads."""
    try:
        shown = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(shown, 2)
        os.close(shown)


def _wake_fork_server() -> None:
    """Let the fork server go on where a custom module has stopped it: a start waits for it."""
    server = getattr(forkserver._forkserver, "_forkserver_pid", None)
    if server is not None:
        with suppress(OSError):
            os.kill(server, signal.SIGCONT)


def _await_end(process: multiprocessing.Process) -> None:
    """Wait until a dying process has ended; its sentinel alone may be held by what it forked."""
    deadline = monotonic() + END_S
    while process.exitcode is None and monotonic() < deadline:
        connection.wait([process.sentinel], 0.01)


def _once(function: Callable[..., T], *args: object) -> Iterator[T]:
    yield function(*args)


def _described(status: int) -> str:
    if status >= 0:
        return f"the worker process ended with status {status}"
    if status == -signal.SIGKILL:
        return "the worker process was killed (SIGKILL), possibly because memory ran out"
    names = {known.value: known.name for known in signal.Signals}
    return f"the worker process was killed by {names.get(-status, f'signal {-status}')}"


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
    context.set_forkserver_preload(["attnbench.system.fork_server", *PRELOAD, *modules])
    return context
