"""The embedded driver, with a program in the place of the one that measures."""

import signal
import subprocess
import sys
import threading

import pytest
from helpers.sweep_stub import KILLED, LEFT_OUT, MODULE_FAILS, OTHER_THREADS, REFUSED

from attnbench.records import run, store
from attnbench.sweeps import local
from attnbench.sweeps.device import slots
from attnbench.sweeps.folder import SweepFolder

pytestmark = pytest.mark.usefixtures("stub")


@pytest.fixture(autouse=True)
def one_cpu(monkeypatch):
    monkeypatch.setattr(slots, "_gpus", list)


def states(steps):
    return [(step.configuration.options.seed, step.state) for step in steps]


def test_one_failure_does_not_stop_the_others(course_of, tmp_path) -> None:
    course, steps = course_of(REFUSED, KILLED, MODULE_FAILS, LEFT_OUT, 1)
    local.drive(course)
    assert states(steps) == [
        step
        for seed, end in (
            (REFUSED, "failed"),
            (KILLED, "failed"),
            (MODULE_FAILS, "done"),
            (LEFT_OUT, "done"),
            (1, "done"),
        )
        for step in ((seed, "running"), (seed, end))
    ]
    assert [step.message for step in steps if step.state in {"failed", "done"}] == [
        "no such thing",
        "the process that measures was killed by SIGKILL",
        # A module that ends its process is a record, and no failure of the configuration.
        "se failed (latency): ChildDiedError: killed by SIGSEGV",
        "sk is left out: it does not fit",
        None,
    ]
    whole = store.runs_in(tmp_path / "out")
    assert len(whole) == 3
    assert all(run.read(folder).finished for folder in whole)


def test_a_sweep_goes_on_where_it_was_killed(course_of, tmp_path) -> None:
    course, _ = course_of(1, KILLED)
    local.drive(course)
    (unfinished,) = (tmp_path / "out" / "unfinished").iterdir()
    assert len(run.read(unfinished).rounds) == 2
    again, steps = course_of(1, KILLED, 2)
    assert (len(again.done), [known.options.seed for known in again.waiting]) == (1, [KILLED, 2])
    local.drive(again)
    assert states(steps)[1:] == [(KILLED, "failed"), (2, "running"), (2, "done")]
    third, steps = course_of(1, 2)
    local.drive(third)
    assert (steps, len(third.done), third.failed) == ([], 2, {})


def test_a_finished_run_whose_driver_died_before_its_renaming_is_kept(course_of, tmp_path) -> None:
    course, _ = course_of(1)
    local.drive(course)
    (name,) = course.done
    (tmp_path / "out" / "unfinished").mkdir()
    (tmp_path / "out" / name).rename(tmp_path / "out" / "unfinished" / name)
    again, _ = course_of(1)
    assert (list(again.done), again.waiting) == ([name], [])
    assert run.read(tmp_path / "out" / name).finished


def test_what_another_machine_has_begun_is_set_aside(course_of, tmp_path, monkeypatch) -> None:
    course, _ = course_of(KILLED)
    local.drive(course)
    monkeypatch.setenv("STUB_CPU", "B")
    again, steps = course_of(KILLED)
    local.drive(again)
    assert [(step.state, step.message) for step in steps] == [
        ("running", None),
        ("waiting", "measured from the start: begun on another machine"),
        ("running", None),
        ("failed", "the process that measures was killed by SIGKILL"),
    ]
    (kept,) = (tmp_path / "out" / "lost").iterdir()
    (begun,) = (tmp_path / "out" / "unfinished").iterdir()
    assert [run.read(place).environment["cpu"] for place in (kept, begun)] == ["A", "B"]


def test_other_threads_than_planned_are_a_failure(course_of, tmp_path) -> None:
    course, steps = course_of(OTHER_THREADS, 1, threads=2)
    local.drive(course)
    assert [step.state for step in steps] == ["running", "failed", "running", "done"]
    assert steps[1].message == (
        "it was measured with 7 threads where 2 were planned, so its records are not used"
    )
    assert len(store.runs_in(tmp_path / "out")) == 1


def test_a_configuration_without_a_fitting_device_fails(course_of) -> None:
    course, steps = course_of(1, on=[{"gpu": "H100"}, {"name": slots.here()[0].labels["name"]}])
    local.drive(course)
    assert [step.state for step in steps] == ["failed", "running", "done"]
    assert steps[0].message.startswith("no device here is gpu = H100, cuda; there is ")


DRIVE = """
import sys
from pathlib import Path
from attnbench.sweeps import local
from attnbench.sweeps.course import Course
from attnbench.sweeps.device import process, slots
from attnbench.sweeps.folder import SweepFolder
from attnbench.sweeps.plan import file
slots._gpus = list
process.COMMAND = [sys.executable, "-m", "helpers.sweep_stub"]
folder = Path(sys.argv[1])
data = {"grid": [{"modules": ["se", "sa"], "host": "resnet18", "image-size": 32, "seed": [200]}]}
sweep = file.of_data(data, file.Source("sweep.toml", None, folder))
course = Course(sweep, SweepFolder(folder / "out"), lambda _: 10.0)
course.begin()
local.drive(course)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_what_measures_ends_with_its_driver(number, gate, course_of, tmp_path) -> None:
    driver = subprocess.Popen([sys.executable, "-c", DRIVE, str(tmp_path)], stderr=subprocess.PIPE)
    with gate.open("w"):  # opens when the stub waits before its fourth round
        driver.send_signal(number)
        driver.communicate(timeout=30)
    (unfinished,) = (tmp_path / "out" / "unfinished").iterdir()
    begun = run.read(unfinished)
    assert len(begun.rounds) == 3
    folder = SweepFolder(tmp_path / "out")
    assert not folder.is_driven
    states_of = [line.state for line in folder.lines() if line.kind == "event"]
    assert states_of == ["running", *(["waiting"] if number == signal.SIGINT else [])]
    again, _ = course_of(200)
    again_gate = threading.Thread(target=lambda: gate.write_bytes(b"x"))
    again_gate.start()
    local.drive(again)
    again_gate.join()
    whole = run.read(tmp_path / "out" / next(iter(again.done)))
    # The same three rounds, and three more of another process.
    assert (whole.rounds[:3], len(whole.rounds)) == (begun.rounds, 6)
