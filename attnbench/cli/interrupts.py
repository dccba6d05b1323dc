"""Ctrl-C, and the signals that ask a process to end: once to end cleanly, twice to end at once.

Standard library alone: it is in force while everything else is imported.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from select import select
from types import FrameType
from typing import Any, NoReturn

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
SIGNALS = [int(getattr(signal, name)) for name in NAMES if hasattr(signal, name)]

GRACE_S = 1.5
"""How long a clean end may take, whatever is being computed; then the process ends at once."""

STATUS = 128 + signal.SIGINT
"""The exit status of a command that was interrupted and has told so."""

SHOW_CURSOR = b"\x1b[?25h"


class Interrupts:
    """The first of these signals that this process has received, and whether that was told."""

    def __init__(self) -> None:
        self.received: int | None = None
        self.told = False
        self.is_terminal = False
        self.is_deferred = False
        self.was_deferred = False

    def receive(self, number: int, _frame: FrameType | None) -> None:
        """Raise a KeyboardInterrupt for the first signal; a second one ends the process."""
        if self.received is None:
            self.received = number
            self.was_deferred = self.is_deferred
            if not self.is_deferred:
                raise KeyboardInterrupt

    @contextmanager
    def deferred(self) -> Iterator[Callable[[], bool]]:
        """Let the body end where it can: it asks whether a signal has come, and raises then.

        It has all the time that it needs, for example to write a checkpoint; a second signal ends
        the process at once, as ever.

        Raises:
            KeyboardInterrupt: a signal came, and the body has ended without asking.
        """
        self.is_deferred = True
        try:
            yield lambda: self.received is not None
        finally:
            self.is_deferred = False
        if self.received is not None:
            raise KeyboardInterrupt

    def watch(self, signals: int) -> None:
        """Wait for a first signal, then for a second one or the end of the grace; end at once.

        In a thread, as the main one may compute for long before it hears of a signal, and what it
        raises may be caught by what it runs.
        """
        number = self._next(signals, None)
        if number is not None:
            # The body may have ended before this thread looks.
            has_time = self.is_deferred or self.was_deferred
            self._next(signals, None if has_time else GRACE_S)
            self.received = number
            self._tell()
            with suppress(OSError):
                os.write(1, SHOW_CURSOR if self.is_terminal else b"")
            with suppress(BaseException):
                _remove_temporary()
            os._exit(self.status)

    @staticmethod
    def _next(signals: int, timeout_s: float | None) -> int | None:
        """Return the next signal, or None when there is no more or the time is over."""
        while select([signals], [], [], timeout_s)[0]:
            if not (byte := os.read(signals, 1)):
                return None
            if byte[0] in SIGNALS:
                return byte[0]
        return None

    @property
    def status(self) -> int:
        """The exit status of a process that this signal has ended, as shells have it."""
        return 128 + (self.received or 0)

    def _tell(self) -> None:
        if not self.told:
            with suppress(OSError):
                os.write(2, b"attnbench: interrupted\n")
        self.told = True

    def end(self) -> NoReturn:
        """End the process without what an interpreter does that may be half imported."""
        self._tell()
        with suppress(BaseException):
            atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
        os._exit(self.status)


INTERRUPTS = Interrupts()
"""Those of this process."""


@contextmanager
def handled() -> Iterator[None]:
    """Handle the signals during the body, and end the process if it has received one.

    A signal that the process was started to ignore (nohup, a job in the background) still is.
    """
    interrupts = INTERRUPTS
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(AttributeError, OSError, ValueError):
        interrupts.is_terminal = os.isatty(1)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    if hasattr(os, "register_at_fork"):  # a process of its own has signals of its own
        os.register_at_fork(after_in_child=_forget)
    threading.Thread(target=interrupts.watch, args=(reader,), daemon=True).start()
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupts.receive)
    sys.unraisablehook = _without_interrupts(sys.unraisablehook)
    try:
        yield
    except BaseException as ended:
        if interrupts.received is None:
            raise
        # A command that says how to go on ends with the status of an interrupt.
        interrupts.told = isinstance(ended, SystemExit) and ended.code == STATUS
    if interrupts.received is not None:
        interrupts.end()


def _remove_temporary() -> None:
    """Remove temporary folders, where the part that makes them is imported already."""
    if known := sys.modules.get("attnbench.temporary"):
        known.remove()


def _forget() -> None:
    with suppress(ValueError):
        signal.set_wakeup_fd(-1)


def _without_interrupts(hook: Callable[[Any], object]) -> Callable[[Any], object]:
    """Return a hook that is silent about an interrupt raised where it could not go anywhere."""

    def show(unraisable: Any) -> None:
        if not (INTERRUPTS.received and issubclass(unraisable.exc_type, KeyboardInterrupt)):
            hook(unraisable)

    return show
