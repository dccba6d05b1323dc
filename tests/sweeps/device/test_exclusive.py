"""Locks are of processes, so that each taker is one; none of them waits for a clock."""

import json
import subprocess
import sys

import pytest

from attnbench.sweeps.device import exclusive

TAKE = """
import json, sys
from attnbench.sweeps.device import exclusive
exclusive.take(json.loads(sys.argv[1]), lambda: print("waits", flush=True))
print("has it", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def taker(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    begun = []

    def take(gpu):
        command = [sys.executable, "-c", TAKE, json.dumps(gpu)]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        begun.append(process)
        return process, process.stdout.readline().strip()

    yield take
    for process in begun:
        process.kill()
        process.communicate()


def test_a_gpu_has_one_process_and_a_cpu_the_machine(taker) -> None:
    first, said = taker("GPU-1")
    assert said == "has it"
    other, said = taker("GPU-2")
    assert said == "has it"
    second, said = taker("GPU-1")
    assert said == "waits"
    cpu, said = taker(None)
    assert said == "waits"
    first.kill()  # however it ends, the lock ends with it
    assert second.stdout.readline().strip() == "has it"
    second.kill()
    second.wait()
    other.kill()
    assert cpu.stdout.readline().strip() == "has it"
    _, said = taker("GPU-3")
    assert said == "waits"


def test_locks_are_where_all_processes_of_the_machine_look(taker, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(exclusive.tempfile, "tempdir", None)
    assert exclusive.folder() == tmp_path / "attnbench-slots"
    taker("GPU-1/../../x")
    assert {path.name for path in exclusive.folder().iterdir()} == {"machine", "GPU-1_______x"}
