import os
from pathlib import Path

import pytest

from attnbench.system import busy
from attnbench.system.busy import FIRST_LOOK_S, LOOK_S, Others, Use, read

HERE = 7
"""The process that began the run, in a simulated /proc."""

TICK = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class Machine:
    """Cores, of which other programs use ``others`` and this run's processes ``ours``."""

    def __init__(self, others: float = 0.0, until_s: float = float("inf")) -> None:
        self.now_s = self.all_s = self.ours_s = 0.0
        self.others, self.until_s = others, until_s
        self.ours = 0.0
        self.running: int | None = None
        self.looks = 0

    def work(self, seconds: float) -> None:
        used_s = self.others * max(min(self.until_s - self.now_s, seconds), 0.0)
        self.all_s += used_s + self.ours * seconds
        self.ours_s += self.ours * seconds
        self.now_s += seconds

    def look(self) -> Use:
        self.looks += 1
        busy_now = self.others if self.now_s < self.until_s else 0.0
        running = 1 + round(busy_now) if self.running is None else self.running
        return Use(self.now_s, self.all_s, {HERE: self.ours_s}, running)

    def others_of(self, needed: int = 2, left_s: float = 10.0, cores: int = 2) -> Others:
        return Others(needed, left_s, cores, cores, self.look, self.work)


def waited(others: Others) -> float:
    return max(others.wait(), default=0.0)


def test_a_quiet_machine_is_not_waited_for() -> None:
    machine = Machine()
    others = machine.others_of()
    assert [*others.wait()] == []
    assert others.held_s == 0.0
    assert machine.now_s == FIRST_LOOK_S  # before the first round of a process it is counted


def test_before_later_rounds_a_look_takes_no_time_where_no_more_threads_run() -> None:
    machine = Machine()
    others = machine.others_of()
    others.begin()
    machine.work(1.0)
    assert others.end() == 0.0
    began_s = machine.now_s
    assert [*others.wait()] == []
    assert machine.now_s == began_s


def test_another_program_is_waited_for_until_it_ends() -> None:
    machine = Machine(others=1.0, until_s=2.0)
    others = machine.others_of()
    # 0.2 s, then looks 0.5 s apart: at 1.7 s it runs, and until 2.2 s it has for 0.3 of 0.5 s.
    assert [*others.wait()] == pytest.approx([0.2, 0.7, 1.2, 1.7, 2.2])
    assert others.held_s == pytest.approx(2.2)
    assert machine.now_s == pytest.approx(2.2 + LOOK_S)  # a look that found it quiet


def test_it_is_waited_for_up_to_a_bound_in_all_rounds_together() -> None:
    machine = Machine(others=2.0)
    others = machine.others_of(left_s=1.0)
    assert waited(others) == pytest.approx(1.2)  # 0.2 + 0.5 + 0.5: the bound is passed once
    others.begin()
    machine.work(2.0)
    assert others.end() == pytest.approx(4.0)  # two cores for two seconds
    began_s = machine.now_s
    assert waited(others) == 0.0
    assert others.held_s == 0.0
    assert machine.now_s == began_s  # nothing is looked at any more before rounds


def test_own_threads_and_a_witness_are_never_waited_for() -> None:
    machine = Machine()
    machine.ours, machine.running = 2.0, 5  # they spin after their work, on both cores
    others = machine.others_of()
    assert waited(others) == 0.0
    others.begin()
    machine.work(1.0)
    assert others.end() == pytest.approx(0.0)
    assert waited(others) == 0.0


@pytest.mark.parametrize(("others", "held"), [(50.0, False), (57.0, True)])
def test_programs_on_cores_that_the_run_leaves_free_do_not_matter(
    others: float, *, held: bool
) -> None:
    machine = Machine(others=others)
    watched = machine.others_of(needed=8, cores=64)
    assert (waited(watched) > 0) == held
    watched.begin()
    machine.work(1.0)
    assert watched.end() == pytest.approx(max(others - 56, 0.0))


def test_what_disturbed_a_round_is_looked_for_before_the_next() -> None:
    machine = Machine(others=0.5)
    machine.running = 1  # not at the moment of the look
    others = machine.others_of()
    assert waited(others) > 0
    others = machine.others_of()
    others._suspected = False
    assert waited(others) == 0.0
    others.begin()
    machine.work(1.0)
    assert others.end() == pytest.approx(0.5)
    assert waited(others) > 0


def test_a_system_without_counters_is_never_busy() -> None:
    others = Others(1, 10.0, look=lambda: Use(0.0), sleep=lambda _: None)
    assert [*others.wait()] == []
    others.begin()
    assert others.end() is None


def stat_of(proc: Path, process: int, ticks: int, name: str = "python") -> None:
    folder = proc / str(process) / "task" / str(process)
    folder.mkdir(parents=True)
    before, after = "S 1 1 1 0 -1 0 0 0 0 0", "0 0 20 0 1 0 100"
    text = f"{process} ({name}) {before} {ticks} {ticks} {after}\n"
    (proc / str(process) / "stat").write_text(text)
    (folder / "children").write_text("")


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two cores of four are allowed; the run began with process 7, which has started 8, and 8 9."""
    monkeypatch.setattr(busy, "cores", lambda: frozenset({1, 2}))
    lines = ["cpu 9 9 9 9 9 9 9 9 9 9"]
    lines += [f"cpu{n} {n * TICK} {TICK} {TICK} 99 99 99 99 99 0 0" for n in range(4)]
    (tmp_path / "stat").write_text("\n".join([*lines, "intr 5 5", "procs_running 3", ""]))
    for process, ticks, name in ((7, 1, "a (b) c"), (8, 2, "x"), (9, 3, "y"), (10, 50, "other")):
        stat_of(tmp_path, process, ticks * TICK, name)
    (tmp_path / "7" / "task" / "7" / "children").write_text("8 ")
    (tmp_path / "8" / "task" / "8" / "children").write_text("9 ")
    return tmp_path


def test_the_counters_of_the_allowed_cores_and_of_all_that_the_run_has_started(proc: Path) -> None:
    use = read(proc, 7)
    assert use.cores_s == 1 + 1 + 1 + 2 + 1 + 1  # user, nice and system of cores 1 and 2
    assert use.ours_s == {7: 2.0, 8: 4.0, 9: 6.0}
    assert use.running == 3


def test_a_container_that_numbers_its_own_cores_is_read_whole(
    proc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(busy, "cores", lambda: frozenset({6, 7}))
    assert read(proc, 7).cores_s == sum(range(4)) + 8


@pytest.mark.parametrize("text", ["", "cpu\n", "cpu0 x y z\n", "cpu0 0 0 0 0 0\n", None])
def test_what_shows_no_counters_has_none(proc: Path, text: str | None) -> None:
    (proc / "stat").unlink() if text is None else (proc / "stat").write_text(text)
    assert read(proc, 7).cores_s is None


def test_a_process_that_has_ended_meanwhile_is_left_out(proc: Path) -> None:
    (proc / "9" / "stat").unlink()
    assert read(proc, 7).ours_s == {7: 2.0, 8: 4.0}


def test_this_machine_can_be_read() -> None:
    use = read()
    assert use.others_s(use) in {0.0, None}
