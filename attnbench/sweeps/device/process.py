"""Start the process that measures a configuration, follow it, and end it where it is not wanted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from select import select
from typing import IO, Any

from attnbench import temporary
from attnbench.sweeps.plan.shipped import Shipped
from attnbench.text import printable

COMMAND = [sys.executable, "-m", "attnbench.sweeps.device.measure"]
"""What measures. Tests put another program in place."""

LOOK_S = 1.0
"""How often it is asked whether a configuration is still wanted."""

MOST_OF_OUTPUT = 600
"""Characters of what a process printed last, in a message."""

END_S = 10.0
"""Most time that a killed process takes to end."""


class NotWantedError(Exception):
    """The configuration was not wanted any more, so its process was ended."""


@dataclass(frozen=True)
class Answer:
    """How a process ended: without an error it has measured what there was.

    ``refused``: the process said itself that it cannot measure that here; else it has died.
    """

    error: str | None = None
    refused: bool = False
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Modules that do not fit the host, and why."""


def measure(  # noqa: PLR0913  all that a process is given
    request: Mapping[str, Any],
    files: Shipped,
    out: Path,
    gpu: str | None,
    environ: Mapping[str, str],
    *,
    told: Callable[[str], object],
    wanted: Callable[[], bool] = lambda: True,
) -> Answer:
    """Measure in a fresh process, with records in ``out``; return how it ended.

    ``gpu`` is the number of the GPU that it may use, None for the CPU. ``told`` is called with
    ``records`` where the records have grown, and with ``waiting for process 3 (...)`` while the
    device is in use.
    ``wanted`` is asked every second.

    Raises:
        NotWantedError: it was not wanted any more.
        OSError: files cannot be written, or the process cannot be started.
    """
    with (
        temporary.folder() as folder,
        tempfile.TemporaryFile() as log,
    ):
        files.write(folder)
        process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=folder,
            env=dict(environ) | ({} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}),
            start_new_session=True,  # an interrupt of the terminal is the driver's
        )
        try:
            line = json.dumps({**request, "out": str(out.absolute()), "device": gpu})
            _send(process, line.encode() + b"\n")
            return _followed(process, log, told, wanted)
        finally:
            _end(process)


def _send(process: subprocess.Popen[bytes], line: bytes) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # it has ended, which following it finds
        process.stdin.write(line)
        process.stdin.flush()  # and it stays open: the process ends when it closes


def _followed(
    process: subprocess.Popen[bytes],
    log: IO[bytes],
    told: Callable[[str], object],
    wanted: Callable[[], bool],
) -> Answer:
    assert process.stdout is not None
    output, received = process.stdout.fileno(), b""
    last: dict[str, Any] = {}
    while True:
        if not wanted():
            raise NotWantedError
        if not select([output], [], [], LOOK_S)[0]:
            continue
        part = os.read(output, 2**16)
        if not part:
            break
        *lines, received = (received + part).split(b"\n")
        for line in lines:
            last = json.loads(line)
            told(_in_words(last))
    status = process.wait()
    if "error" in last:
        return Answer(str(last["error"]), refused=True)
    if "left_out" in last and status == 0:
        return Answer(left_out=last["left_out"])
    return Answer(f"the process that measures {_died(status)}{_printed(log)}")


def _in_words(message: Mapping[str, Any]) -> str:
    """Return what a message is of: ``records``, or ``waiting for process 3 (...)``."""
    ((what, value),) = message.items()
    return f"waiting for {value}" if what == "waiting" else what


def _died(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    names = {known.value: known.name for known in signal.Signals}
    return f"was killed by {names.get(-status, f'signal {-status}')}"


def _printed(log: IO[bytes]) -> str:
    log.seek(0)
    lines = log.read().decode(errors="replace").strip().splitlines()
    return f": {printable(lines[-1], MOST_OF_OUTPUT)}" if lines else ""


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the process with its group; what it has started in others ends with it."""
    if process.poll() is None:
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_S)
    temporary.remove_dead()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):
                stream.close()
