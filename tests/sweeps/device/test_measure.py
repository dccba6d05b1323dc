"""The process that measures, for real: one tiny configuration, with the modules of a file."""

import os
import sys
from pathlib import Path

import pytest
from helpers import sweep_measure

from attnbench.measuring import runner
from attnbench.measuring.events import Waiting
from attnbench.measuring.runner import Measured
from attnbench.records import run
from attnbench.sweeps import local
from attnbench.sweeps.device import measure, process
from attnbench.sweeps.plan import file

SWEEP = """
[[grid]]
modules = ["mine.py:Mine"]
host = "resnet18"
image-size = 32
device = "cpu"
threads = 1
budget = 0.05
"""

MINE = """
import helper
from torch import nn

class Mine(nn.Identity):
    def __init__(self, channels):
        super().__init__()
        self.x = nn.Parameter(helper.zeros(channels))
"""


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # of the locks
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "helper.py").write_text("from torch import zeros\n")
    (tmp_path / "sweep.toml").write_text(f"files = ['helper.py']\n{SWEEP}")
    return file.read(tmp_path / "sweep.toml")


def measured(sweep, tmp_path, **more):
    told = []
    (known,) = sweep.configurations
    answer = process.measure(
        known.request("cpu") | more,
        sweep.files,
        tmp_path / "out",
        None,
        os.environ,
        told=told.append,
    )
    return answer, told


@pytest.fixture
def forks(monkeypatch):
    monkeypatch.setattr(process, "COMMAND", [sys.executable, "-m", "helpers.sweep_measure"])
    monkeypatch.setenv("PYTHONPATH", str(Path(sweep_measure.__file__).parents[1]))


@pytest.mark.usefixtures("forks")
def test_a_configuration_is_measured_with_the_files_that_go_with_it(sweep, tmp_path) -> None:
    answer, told = measured(sweep, tmp_path)
    assert answer.error is None
    known = run.read(tmp_path / "out")
    assert known.finished
    assert told.count("records") >= 3 + 2 * 2 + len(known.rounds)
    assert known.plan.sources == dict(sweep.configurations[0].sources)
    # As many parameters as the last widths of eight blocks: twice 64, 128, 256 and 512.
    plain, mine = (known.counts[name]["learnable"].params for name in ("plain", "mine.py:Mine"))
    assert mine - plain == 2 * (64 + 128 + 256 + 512)


def test_who_has_the_device_is_told_once(monkeypatch) -> None:
    """And what a run says besides is that there are records."""

    def run(options, out, progress):
        assert (options.modules, out) == (("se",), "out")
        for event in (None, *(Waiting(holder="process 3 (attnbench train)"),) * 3, Waiting(5.0)):
            progress(None, event)
        return Measured((), Path(out), {"sk": "it does not fit"})

    monkeypatch.setattr(runner, "run", run)
    answers = []
    request = {"options": {"modules": ("se",)}, "out": "out"}
    left_out = measure._measured(request, lambda **message: answers.append(message))
    assert left_out == {"sk": "it does not fit"}
    records = {"records": True}
    assert answers == [records, {"waiting": "process 3 (attnbench train)"}, records]
    assert list(map(process._in_words, answers)) == [
        "records",
        "waiting for process 3 (attnbench train)",
        "records",
    ]
    said = []
    for what in map(process._in_words, answers):
        local._told("a", said.append, what)
    assert said == ["a is waiting for process 3 (attnbench train)"]


def test_other_code_than_was_planned_is_refused(sweep, tmp_path) -> None:
    answer, told = measured(sweep, tmp_path, sources={"mine.py:Mine": "sha256 0"})
    assert answer.refused
    assert "mine.py:Mine is sha256" in answer.error
    assert "install the same version" in answer.error
    assert told == ["error"]
