"""What all rooms' tests share. Torch is imported where it is used: pytest-xdist's first process,
which runs no test, reads this file too."""

import fcntl
import gc
import os
import pickle
import sys
from functools import partial
from pathlib import Path

import pytest

from attnbench.records.schema import Case
from attnbench.stats import between_runs
from attnbench.system import machine_lock, worker

# For the tests and for the child processes that they start: both import helpers.
sys.path.append(str(Path(__file__).parent))
# The generator of the documents is not part of the package.
sys.path.append(str(Path(__file__).parents[1] / "docs"))
# Nor are the scripts behind figures, of which tests run short forms.
sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

worker.PRELOAD.append("attnbench.measuring.memory")  # as measuring does, for tests of no run
# The processes of a stream are forked like the others: spawned, each would import torch itself.
spawned_context = worker._spawned
worker._spawned = worker._prepared

# What is imported and collected stays until the end: looking through it again and again for what
# is no longer used would take a third of the time until the first test.
gc.disable()

NEW_OBJECTS = 50_000
"""After so many Python looks for what is no longer used: a traced network makes 700 in no time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest test, mypy's, on which another worker would wait at the end."""
    items.sort(key=lambda item: "test_wheel" not in item.nodeid)


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, *gc.get_threshold()[1:])
    gc.enable()


def pytest_unconfigure() -> None:
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def locks(tmp_path_factory):
    """Let each worker's measurements have locks of their own: they need not wait for each other."""
    folder = tmp_path_factory.mktemp("locks")
    os.environ[machine_lock.FOLDER] = str(folder)
    return folder


@pytest.fixture
def case():
    return Case(
        host="resnet50",
        batch_size=2,
        image_size=32,
        dtype="float32",
        channels_last=False,
        mode="inference",
        device="cpu",
        threads=1,
        seed=3,
    )


@pytest.fixture(scope="session")
def every_finding(once_a_session):
    """Compute every published figure that can be computed, once for all tests."""
    from attnbench.claims import check, claim

    return once_a_session("findings", lambda: check.check(claim.select(None)))


@pytest.fixture(scope="session")
def once_a_session(tmp_path_factory):
    """Return a function that computes what is slow once, for all workers of a session."""
    session = os.environ.get("PYTEST_XDIST_TESTRUNUID")  # unset without workers

    def compute(name, function):
        if session is None:
            return function()
        stored = tmp_path_factory.getbasetemp().parent / name
        with stored.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # until the file is closed
            if not stored.exists():
                stored.write_bytes(pickle.dumps(function()))
        return pickle.loads(stored.read_bytes())

    return compute


@pytest.fixture
def small_host(monkeypatch):
    """Give ResNet-50 one bottleneck a stage instead of 3, 4, 6 and 3: four times as fast."""
    from helpers import one_block

    one_block.use(monkeypatch)


@pytest.fixture
def one_process(monkeypatch):
    """Run what runs in child processes in this one, where it sees what a test has changed."""
    monkeypatch.setattr(worker, "call", lambda function, *args: function(*args))
    monkeypatch.setattr(worker, "stream", lambda function, *args: function(*args))


@pytest.fixture
def spawned(monkeypatch):
    """Spawn the processes of a stream, as the suite does: for tests of that, and of devices."""
    monkeypatch.setattr(worker, "_spawned", spawned_context)


@pytest.fixture
def steady_runs(monkeypatch):
    """Assume no scatter between runs, so that the arithmetic of the rounds can be seen."""
    monkeypatch.setattr(between_runs, "ASSUMED", 0.0)


@pytest.fixture
def scattered_runs(steady_runs, monkeypatch):  # noqa: ARG001  replaces it
    """Assume a scatter between runs that is a round number."""
    monkeypatch.setattr(between_runs, "ASSUMED", 0.01)


@pytest.fixture
def stored(tmp_path, case, steady_runs):  # noqa: ARG001
    """Return a function that stores a run under a name: see ``helpers.stored_runs``."""
    from helpers.stored_runs import store_run

    return partial(store_run, tmp_path, case)


@pytest.fixture
def grid_of(stored, tmp_path):
    """Return a function that stores a run for each batch size, with that ratio of SA."""

    def store_grid(name, ratios, **others):
        for place, (batch_size, ratio) in enumerate(ratios.items()):
            settings = {"batch_size": batch_size}
            stored(f"{name}/{place}", sa=ratio, settings=settings, **others)
        return tmp_path / name

    return store_grid


@pytest.fixture
def repeated_runs(stored, tmp_path):
    """Return a function that stores runs of one configuration: SA's ratio and time of each."""

    def store_runs(name, ratios, times, **others):
        for place, (ratio, time) in enumerate(zip(ratios, times, strict=True)):
            facts = {"time": time, **others.get("facts", {})}
            stored(f"{name}/{place}", sa=ratio, facts=facts, settings={"seed": place})
        return tmp_path / name

    return store_runs
