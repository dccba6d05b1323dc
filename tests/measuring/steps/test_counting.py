"""Counting never precedes timing in one process.

torch's counters slow compiled networks that run after them (pytorch/pytorch#140909).
"""

import os
from pathlib import Path

import pytest
from helpers.observed import sitecustomize as observed
from helpers.runs import no_memory
from torch.utils import _python_dispatch

from attnbench.measuring import timing
from attnbench.measuring.steps.execute import execute
from attnbench.records.run import Run
from attnbench.records.schema import Plan, Record, Round

COUNTERS = ("attnbench.counting.", "torch.utils.flop_counter.", "fvcore.", "thop.")


@pytest.mark.usefixtures("spawned")
@pytest.mark.parametrize("name", ["eager", "compile"])
def test_the_process_that_times_has_not_counted(case, name, tmp_path, monkeypatch):
    said = tmp_path / "said"
    # Read by the process that is started for timing; this one has all imports done.
    folders = [str(Path(observed.__file__).parent), str(Path(__file__).parents[2])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(folders))
    monkeypatch.setenv(observed.FILE, str(said))
    mode = _python_dispatch.TorchDispatchMode
    monkeypatch.setattr(mode, "__enter__", mode.__enter__)
    monkeypatch.setattr(timing, "timed", timing.timed)
    observed.observe_counting(_python_dispatch)
    observed.observe_timing(timing)

    plan = Plan(variants=("plain", "control"), budget_s=1e-6, target=0.1)
    sizes = {"host": "resnet18", "image_size": 32, "batch_size": 1}
    changed = {**vars(case), **sizes, "runtime": name}
    run = Run(type(case)(**changed), plan, {"cpu": "A", "time": "12:00"})
    events = [event for _, event in execute([run], measure_memory=no_memory)]
    assert run.failures == {}
    assert any(isinstance(e, Record) and isinstance(e.results, Round) for e in events)

    lines = [line.split() for line in said.read_text(encoding="utf-8").splitlines()]
    modes = [line for line in lines if line[1] == "count"]
    counted = {line[0] for line in modes if line[2].startswith(COUNTERS)}
    timed = {process for process, what, *_ in lines if what == "time"}
    assert counted == {str(os.getpid())}
    assert len(timed) == 1
    assert not counted & timed
