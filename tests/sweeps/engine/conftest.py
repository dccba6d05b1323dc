"""Schedulers and workers as processes of this machine, with stubs in the place of measuring."""

import json
import os
import select
import signal
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers.fleet import Processes

from attnbench.sweeps.folder import SweepFolder

BOUND_S = 120.0
"""Most time that any test waits for anything; on an idle machine it is some seconds."""

GPU = {"gpu": "NVIDIA H100 80GB HBM3", "gpu-uuid": "GPU-1", "driver": "570.86"}


@pytest.fixture
def processes(tmp_path) -> Iterator[Processes]:
    known = Processes(tmp_path, STUB_GATE=str(tmp_path / "gate"))
    yield known
    known.end()


@dataclass(frozen=True)
class Fleet:
    """A scheduler that three workers have joined: two CPUs and a GPU."""

    address: str
    processes: Processes
    gate: Path
    """The pipe of gated stubs."""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    gate = folder / "gate"
    os.mkfifo(gate)
    known = Processes(folder, STUB_GATE=str(gate))
    try:
        _, address = known.scheduler()
        known.worker(address, "one", OMP_NUM_THREADS="3")
        known.worker(address, "two")
        known.worker(address, "three", STUB_GPUS=json.dumps([GPU]))
        yield Fleet(address, known, gate)
    finally:
        known.end()


@pytest.fixture
def has_lines(monkeypatch):
    """Return a function that waits until this driver has as many lines of a run's records."""
    changed = threading.Condition()
    put = SweepFolder.put

    def told(self, *given) -> None:
        put(self, *given)
        with changed:
            changed.notify_all()

    def wait(folder, name, lines) -> None:
        with changed:
            known = changed.wait_for(
                lambda: len(folder.records(name).splitlines()) == lines, BOUND_S
            )
            assert known

    monkeypatch.setattr(SweepFolder, "put", told)
    return wait


@pytest.fixture
def port() -> int:
    """A port that is free now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Driven(threading.Thread):
    """A driver in a thread of the test, whose error is the test's."""

    def __init__(self, drive) -> None:
        super().__init__(daemon=True)
        self._drive, self._error = drive, None
        self.start()

    def run(self) -> None:
        try:
            self._drive()
        except BaseException as error:
            self._error = error

    def end(self) -> None:
        self.join(BOUND_S)
        assert not self.is_alive()
        if self._error is not None:
            raise self._error


@pytest.fixture
def in_a_thread():
    return Driven


@pytest.fixture
def has_ended():
    """Return a function that waits until a process of any parent has ended."""

    def wait(process_id: int) -> bool:
        try:
            handle = os.pidfd_open(process_id)
        except ProcessLookupError:
            return True
        try:
            return bool(select.select([handle], [], [], BOUND_S)[0])
        finally:
            os.close(handle)

    return wait


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    """End a test that waits for what never comes, for example a pipe that nobody opens."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"the test waited {BOUND_S:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, BOUND_S)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
