import os
import sys
from pathlib import Path

import pytest

from attnbench.records import run
from attnbench.sweeps.device import process
from attnbench.sweeps.device.process import NotWantedError


@pytest.fixture
def measured(stub, tmp_path, sweep_of):  # noqa: ARG001
    def measure(seed, wanted=lambda: True, **more):
        sweep = sweep_of(seed)
        told = []
        answer = process.measure(
            sweep.configurations[0].request("cpu"),
            sweep.files,
            tmp_path / "out",
            more.get("gpu"),
            os.environ,
            told=told.append,
            wanted=wanted,
        )
        return answer, told

    return measure


def test_records_are_told_of_as_they_are_made(measured, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    answer, told = measured(1, gpu="GPU-7")
    assert answer.error is None
    assert told == ["records"] * 8 + ["left_out"]  # the plan, six rounds, the end
    environment = run.read(tmp_path / "out").environment
    # The environment is the one that was given, with the GPU that it may use.
    assert (environment["omp"], environment["gpu_uuid"]) == ("5", "GPU-7")


def test_a_process_that_is_not_wanted_is_ended(measured, gate, tmp_path, monkeypatch) -> None:  # noqa: ARG001
    monkeypatch.setattr(process, "LOOK_S", 0.05)
    out = tmp_path / "out" / "records.jsonl"

    def wanted() -> bool:
        return not (out.exists() and len(out.read_text().splitlines()) == 4)

    with pytest.raises(NotWantedError):
        measured(200, wanted)
    begun = run.read(tmp_path / "out")
    assert len(begun.rounds) == 3
    process_id = begun.environment["process"]
    assert not Path(f"/proc/{process_id}").exists()


def test_a_process_that_dies_says_how(measured) -> None:
    answer, _ = measured(102)
    assert answer.error == "the process that measures was killed by SIGKILL"
    assert not answer.refused


def test_a_process_that_raises_shows_its_last_line(measured, monkeypatch) -> None:
    code = "import sys; sys.stdin.readline(); print('x'); raise ValueError('broken')"
    silent = code.replace("print('x'); ", "")
    monkeypatch.setattr(process, "COMMAND", [sys.executable, "-c", code])
    # What is no answer is an error of the program, not of the configuration.
    with pytest.raises(ValueError, match="Expecting value"):
        measured(1)
    monkeypatch.setattr(process, "COMMAND", [sys.executable, "-c", silent])
    answer, _ = measured(1)
    assert answer.error == "the process that measures ended with status 1: ValueError: broken"
