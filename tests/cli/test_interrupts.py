"""What signals do to the command line, in processes that import nothing but its handling."""

import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from attnbench.cli.interrupts import Interrupts

BEGIN = """
import atexit, signal
from attnbench.cli import interrupts
atexit.register(print, "at exit")
interrupts.GRACE_S = {grace_s}
with interrupts.handled():
    try:
        {body}
    finally:
        print("cleaned up")
"""
READY = 'print("ready", flush=True)'
WAIT = f"{READY}; signal.pause()"
SWALLOW = f"""
        while True:
            try:
                {READY}
                signal.pause()
            except KeyboardInterrupt:
                print("swallowed", flush=True)
"""
IGNORED = f"{READY}; signal.raise_signal(signal.SIGHUP); raise SystemExit(3)"
IN_DEL = f"""
        Late = type("Late", (), dict(__del__=lambda self: ({READY}, signal.pause())))
        Late()
        signal.pause()
"""
SAID = f"""
        try:
            {READY}
            signal.pause()
        except KeyboardInterrupt:
            raise SystemExit(interrupts.STATUS)
"""
DEFERRED = f"""
        with interrupts.INTERRUPTS.deferred() as stop:
            {READY}
            while not stop():
                pass
            print("saved", flush=True)
            {{after}}
"""


def process_of(body: str, grace_s: float = 60.0, start: Callable[[], Any] | None = None) -> Any:
    def as_started_by_a_terminal() -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        if start:
            start()

    code = BEGIN.replace("{body}", body).replace("{grace_s}", str(grace_s))
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=as_started_by_a_terminal,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def end_of(process: Any) -> tuple[int, str, str]:
    """Return the exit status, and what is left to read of stdout and stderr."""
    with process:
        shown, said = process.stdout.read(), process.stderr.read()
    return process.returncode, shown, said


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_the_process_cleanly_with_one_line(number: int, status: int) -> None:
    process = process_of(WAIT)
    process.send_signal(number)
    assert end_of(process) == (status, "cleaned up\nat exit\n", "attnbench: interrupted\n")


def test_a_second_signal_ends_at_once_what_caught_the_first() -> None:
    process = process_of(SWALLOW)
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "swallowed\n"
    process.send_signal(signal.SIGINT)
    status, shown, said = end_of(process)
    assert (status, said) == (130, "attnbench: interrupted\n")
    assert "cleaned up" not in shown


@pytest.mark.parametrize("body", [SWALLOW, IN_DEL], ids=["caught", "lost in a finaliser"])
def test_what_catches_a_signal_is_ended_when_the_time_is_over(body: str) -> None:
    process = process_of(body, grace_s=0.1)
    process.send_signal(signal.SIGTERM)
    status, _, said = end_of(process)
    assert (status, said) == (143, "attnbench: interrupted\n")


def test_a_signal_that_is_ignored_stays_so() -> None:
    process = process_of(IGNORED, start=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    assert end_of(process) == (3, "cleaned up\nat exit\n", "")


def test_a_command_that_has_said_how_to_go_on_is_not_followed_by_another_line() -> None:
    process = process_of(SAID)
    process.send_signal(signal.SIGTERM)
    assert end_of(process) == (143, "cleaned up\nat exit\n", "")


def test_work_that_defers_a_signal_ends_where_it_can_and_has_no_grace_to_keep() -> None:
    process = process_of(DEFERRED.format(after=""), grace_s=0.0)
    process.send_signal(signal.SIGTERM)
    assert end_of(process) == (143, "saved\ncleaned up\nat exit\n", "attnbench: interrupted\n")


def test_a_second_signal_ends_at_once_what_defers_the_first() -> None:
    process = process_of(DEFERRED.format(after="while True: pass"))
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "saved\n"
    process.send_signal(signal.SIGINT)
    status, shown, said = end_of(process)
    assert (status, shown, said) == (130, "", "attnbench: interrupted\n")


def test_what_deferred_a_signal_is_remembered_when_it_has_ended() -> None:
    """The thread that ends the process may look only then."""
    interrupts = Interrupts()
    with pytest.raises(KeyboardInterrupt), interrupts.deferred():
        interrupts.receive(signal.SIGTERM, None)
    assert (interrupts.is_deferred, interrupts.was_deferred) == (False, True)
