"""Sweeps over a scheduler and workers that are processes of this machine."""

import signal
from functools import partial
from itertools import pairwise

import pytest
from helpers.fleet import until
from helpers.sweep_stub import KILLED, MODULE_FAILS, REFUSED

from attnbench.errors import UserError
from attnbench.records import run, store
from attnbench.sweeps import local
from attnbench.sweeps.course import Course
from attnbench.sweeps.device import slots
from attnbench.sweeps.device.slots import Slot
from attnbench.sweeps.engine import driver
from attnbench.sweeps.folder import SweepFolder
from attnbench.sweeps.plan import file

ANY = {"device": "cpu"}


@pytest.fixture(autouse=True)
def looks_often(monkeypatch):
    monkeypatch.setattr(driver, "LOOK_S", 0.05)


def named(path):
    return {folder.name: run.read(folder) for folder in store.runs_in(path)}


def gated(gate):
    """The process that waits at a gate."""
    return int(gate.with_suffix(".pid").read_text())


def where(course):
    """The slot on which each configuration was done."""
    events = [line for line in course.folder.lines() if line.kind == "event"]
    return {line.name: line.where for line in events if line.state == "done"}


def test_for_whom_a_configuration_waits_is_said_with_its_slot(course_of) -> None:
    course, _ = course_of(1)
    (known,) = course.waiting
    course.start(known, Slot({"name": "one", "device": "cpu"}))
    said = []
    driving = driver._Driver(course, None, 1.0, said.append)
    driving.tasks[known.name] = ("first", None)
    message = {"name": known.name, "waiting": "waiting for process 3 (attnbench train)"}
    driving._put(message | {"attempt": "lost"})
    driving._put(message | {"attempt": "first"})
    (line,) = said
    assert line.startswith(f"{known.name} is waiting for process 3 (attnbench train), on one")


def test_each_is_measured_once_alone_on_a_slot_that_fits(fleet, course_of, tmp_path) -> None:
    on = [{"name": "one"}, {"name": "two"}, {"gpu": "H100"}]
    seeds = (1, 2, 3, MODULE_FAILS)
    course, _ = course_of(*seeds, on=on)
    driver.drive(course, fleet.address, wait_s=30.0)
    assert (len(course.done), course.failed, course.waiting) == (12, {}, [])
    places = where(course)
    for known in course.sweep.configurations:
        wanted = known.on.get("name", "three")
        assert places[known.name].split()[0] == wanted
    runs = named(tmp_path / "out")
    spans = {}
    for name, known in runs.items():
        began, ended = known.environment["began_s"], known.moments[-1]["now_s"]
        spans.setdefault(places[name], []).append((began, ended))
    for slot, times in spans.items():
        ordered = sorted(times)
        assert len(ordered) == 4
        for (_, ended), (begins, _) in pairwise(ordered):
            assert ended < begins, slot
    # The environment is that of the shell which started each worker, and a GPU's is its own.
    facts = {(places[name].split()[0], r.environment["omp"]) for name, r in runs.items()}
    assert {("one", "3")} == {fact for fact in facts if fact[0] == "one"}
    assert {r.environment["gpu_uuid"] for r in runs.values()} == {None, "GPU-1"}


@pytest.mark.usefixtures("stub")
def test_records_are_those_of_a_plain_run_but_for_the_machine(
    fleet, course_of, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(slots, "_gpus", list)
    course, _ = course_of(1, 2, MODULE_FAILS, threads=1, **ANY)
    driver.drive(course, fleet.address, wait_s=30.0)
    far = named(tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "far")
    course, _ = course_of(1, 2, MODULE_FAILS, threads=1, **ANY)
    local.drive(course)
    here = named(tmp_path / "out")
    assert far.keys() == here.keys()
    for name, one in far.items():
        for part in ("case", "plan", "rounds", "failures", "end"):
            assert getattr(one, part) == getattr(here[name], part)


def test_what_fails_is_told_and_the_others_go_on(fleet, course_of) -> None:
    course, steps = course_of(REFUSED, KILLED, 1, **ANY)
    driver.drive(course, fleet.address, wait_s=30.0)
    assert sorted(course.failed.values()) == [
        "no such thing",
        "the process that measures was killed by SIGKILL",
    ]
    # Once each: retries are for lost workers alone.
    assert [step.state for step in steps].count("running") == 3
    assert len(course.done) == 1


def test_without_a_fitting_device_a_configuration_fails_after_a_wait(fleet, course_of) -> None:
    course, steps = course_of(1, on=[{"gpu": "A100"}, {"name": "two"}])
    driver.drive(course, fleet.address, wait_s=0.2)
    (why,) = course.failed.values()
    assert why.startswith("no device that is gpu = A100, cuda has joined within 0.2 s; there is ")
    assert "three NVIDIA H100 80GB HBM3" in why
    assert sorted(step.state for step in steps) == ["done", "failed", "running"]


def test_without_a_scheduler_nothing_begins(course_of, port, monkeypatch) -> None:
    course, steps = course_of(1)
    monkeypatch.setattr(driver, "ANSWER_S", 0.2)
    with pytest.raises(UserError, match="start one with: attnbench scheduler"):
        driver.drive(course, f"tcp://127.0.0.1:{port}", wait_s=0.0)
    assert steps == []


def test_slots_of_another_version_are_not_used(fleet, course_of, monkeypatch) -> None:
    monkeypatch.setattr(driver, "__version__", "9.9")
    said = []
    course, _ = course_of(1, **ANY)
    driver.drive(course, fleet.address, wait_s=0.1, say=said.append)
    assert len(course.failed) == 1
    assert sorted(line.split(" has ")[0] for line in said) == [
        "one cpu is not used: it",
        "three NVIDIA H100 80GB HBM3 is not used: it",
        "two cpu is not used: it",
    ]


def test_a_lost_machine_goes_on_when_it_returns_and_is_replaced(  # noqa: PLR0913, PLR0917
    fleet, course_of, in_a_thread, has_ended, has_lines, tmp_path
) -> None:
    """Three processes of a machine of that name, of which the third is another one."""
    worker = partial(fleet.processes.worker, fleet.address, "doomed")
    course, steps = course_of(200, 201, on={"name": "doomed"})
    first, second = (known.name for known in course.waiting)
    doomed = worker()
    driven = in_a_thread(partial(driver.drive, course, fleet.address, wait_s=30.0))
    with fleet.gate.open("w"):  # its process waits before the fourth round
        has_lines(course.folder, first, 4)  # the plan and three rounds
        doomed.send_signal(signal.SIGKILL)
        assert has_ended(gated(fleet.gate))
    doomed = worker()
    fleet.gate.write_bytes(b"x")
    with fleet.gate.open("w"):
        has_lines(course.folder, second, 4)
        doomed.send_signal(signal.SIGKILL)
        assert has_ended(gated(fleet.gate))
    last = worker(STUB_CPU="B")
    fleet.gate.write_bytes(b"x")
    driven.end()
    last.kill()
    assert [(step.configuration.options.seed, step.state) for step in steps] == [
        *((200, "running"), (200, "lost"), (200, "running"), (200, "done")),
        *((201, "running"), (201, "lost"), (201, "running")),
        *((201, "waiting"), (201, "running"), (201, "done")),
    ]
    whole, other = (run.read(tmp_path / "out" / name) for name in (first, second))
    # Three rounds of the first process, and three of the second.
    assert [len({m["process"] for m in whole.moments[:n]}) for n in (3, 6)] == [1, 2]
    # Another machine cannot go on with a run: it begins again, and what there was is kept.
    assert (other.environment["cpu"], len(other.rounds)) == ("B", 6)
    (kept,) = (tmp_path / "out" / "lost").iterdir()
    assert (run.read(kept).environment["cpu"], len(run.read(kept).rounds)) == ("A", 3)


SWEEP = """
[[grid]]
modules = ["se", "sa"]
host = "resnet18"
image-size = 32
seed = [200, 1]
on = { name = "one" }
"""


def test_an_interrupted_and_a_killed_driver_are_started_again(
    fleet, has_ended, in_a_thread, tmp_path
) -> None:
    (tmp_path / "mine.toml").write_text(SWEEP)
    words = ("sweep", "mine.toml", "--out", "out", "--scheduler", fleet.address)
    start = partial(fleet.processes.start, *words, folder=tmp_path)
    begun = []
    for number in (signal.SIGINT, signal.SIGKILL):
        driving = start()
        with fleet.gate.open("w"):
            if number == signal.SIGINT:
                until(driving.stderr, "has 4 lines")
            driving.send_signal(number)
            _, complaints = driving.communicate()
            if number == signal.SIGINT:
                assert driving.returncode == 130
                assert "go on with: attnbench sweep mine.toml --out out" in complaints
            (unfinished,) = (tmp_path / "out" / "unfinished").iterdir()
            begun.append(run.read(unfinished))
            # Nobody wants it any more, so that its slot is free for the next driver.
            assert has_ended(gated(fleet.gate))
        assert len(begun[-1].rounds) == 3
    folder = SweepFolder(tmp_path / "out")
    course = Course(file.read(tmp_path / "mine.toml"), folder, lambda _: 10.0)
    course.begin()
    driven = in_a_thread(partial(driver.drive, course, fleet.address, wait_s=30.0))
    fleet.gate.write_bytes(b"x")
    driven.end()
    folder.close()
    assert len(course.done) == 2
    whole = run.read(tmp_path / "out" / unfinished.name)
    assert whole.rounds[:3] == begun[0].rounds[:3] == begun[1].rounds[:3]
    assert len(whole.rounds) == 6


def test_a_killed_scheduler_is_started_again(  # noqa: PLR0913, PLR0917
    processes, gate, port, course_of, in_a_thread, has_lines, has_ended, tmp_path
) -> None:
    scheduler, address = processes.scheduler(port)
    worker = processes.worker(address, "one")
    course, steps = course_of(1, 200, **ANY)
    said = []
    driven = in_a_thread(partial(driver.drive, course, address, wait_s=30.0, say=said.append))
    with gate.open("w"):
        has_lines(course.folder, course.sweep.configurations[1].name, 4)
        scheduler.send_signal(signal.SIGKILL)
        scheduler.wait()
        assert has_ended(gated(gate))  # as its worker has lost the scheduler
        processes.scheduler(port)
    gate.write_bytes(b"x")
    driven.end()
    assert said[:1] == [f"the scheduler at {address} is gone; waiting for it to return"]
    states = [(step.configuration.options.seed, step.state) for step in steps]
    assert states == [
        *((1, "running"), (1, "done"), (200, "running")),
        *((200, "waiting"), (200, "running"), (200, "done")),
    ]
    assert all(len(known.rounds) == 6 for known in named(tmp_path / "out").values())
    assert worker.poll() is None
