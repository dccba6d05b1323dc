import sys
from pathlib import Path

import pytest

from attnbench.claims import check, claim
from attnbench.hosts.build import HOSTS, Host
from attnbench.records.schema import Case
from attnbench.system import worker

# For the tests and for the child processes that they start: both import helpers.
sys.path.append(str(Path(__file__).parent))
# What writes the documents is no part of the package.
sys.path.append(str(Path(__file__).parents[1] / "docs"))

worker.preload("attnbench.measuring.memory")  # what measuring does, for tests that call no run


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
def every_finding():
    """Every published figure that can be computed, computed once for all tests."""
    return check.check(claim.select(None))


@pytest.fixture
def small_host(monkeypatch):
    """One bottleneck a stage instead of 3, 4, 6 and 3: a real network, four times as fast."""
    monkeypatch.setitem(HOSTS, "resnet50", Host((1, 1, 1, 1)))


@pytest.fixture
def one_process(monkeypatch):
    """What has processes of its own runs in this one, where it sees what a test has changed."""
    monkeypatch.setattr(worker, "call", lambda function, *args: function(*args))
    monkeypatch.setattr(worker, "stream", lambda function, *args: function(*args))
