from pathlib import Path

import pytest

from attnbench.records.schema import Disturbance
from attnbench.system import disturbance
from attnbench.system.disturbance import Counters


def test_a_difference_is_what_passed_on_each_counter():
    before = Counters(awake_s=100.0, all_s=164.0, waited_s=2.5, stolen_s=0.25)
    after = Counters(awake_s=104.0, all_s=168.0, waited_s=3.0, stolen_s=1.0)
    assert after - before == Disturbance(
        elapsed_s=4.0,  # 168 - 164
        asleep_s=0.0,  # 4 - (104 - 100)
        waited_s=0.5,  # 3 - 2.5
        stolen_s=0.75,  # 1 - 0.25
    )


def test_the_time_asleep_is_the_difference_of_the_clocks():
    before = Counters(awake_s=100.0, all_s=164.0)
    after = Counters(awake_s=100.5, all_s=224.5)
    between = after - before
    assert between.elapsed_s == 60.5  # 224.5 - 164
    assert between.asleep_s == 60.0  # 60.5 - 0.5


def test_without_a_clock_that_counts_sleep_only_the_time_awake_is_known():
    between = Counters(awake_s=104.0) - Counters(awake_s=100.0)
    assert between == Disturbance(elapsed_s=4.0)


@pytest.mark.parametrize("counter", ["waited_s", "stolen_s"])
@pytest.mark.parametrize(("before", "after"), [(None, 1.0), (1.0, None), (None, None)])
def test_a_counter_that_is_missing_once_is_unknown(counter, before, after):
    between = Counters(awake_s=4.0, **{counter: after}) - Counters(awake_s=0.0, **{counter: before})
    assert getattr(between, counter) is None


@pytest.mark.parametrize(("before", "after"), [(None, 164.0), (164.0, None)])
def test_a_clock_that_is_missing_once_leaves_the_time_awake(before, after):
    between = Counters(awake_s=104.0, all_s=after) - Counters(awake_s=100.0, all_s=before)
    assert between == Disturbance(elapsed_s=4.0, asleep_s=None)


def test_a_counter_that_falls_counts_as_zero():
    # A thread that ended took its waiting along; the clocks are read one after the other.
    before = Counters(awake_s=100.0, all_s=164.0, waited_s=3.0, stolen_s=1.0)
    after = Counters(awake_s=104.5, all_s=168.0, waited_s=2.5, stolen_s=0.5)
    assert after - before == Disturbance(elapsed_s=4.0, asleep_s=0.0, waited_s=0.0, stolen_s=0.0)


def tasks(folder, *states):
    for number, state in enumerate(states):
        (folder / str(number)).mkdir()
        if state is not None:
            (folder / str(number) / "schedstat").write_text(state)
    return folder


def test_the_waiting_is_that_of_all_threads(tmp_path):
    states = ["7000000000 1500000000 12\n", "9 250000000 1\n"]  # ns: run, waited; and times
    assert disturbance._waited(tasks(tmp_path, *states)) == 1.75  # 1.5 + 0.25


@pytest.mark.parametrize("state", [None, "", "7000000000\n", "7 soon 12\n"])
def test_waiting_that_is_not_known_for_every_thread_is_unknown(tmp_path, state):
    assert disturbance._waited(tasks(tmp_path, "7 1500000000 12\n", state)) is None


def test_waiting_is_unknown_where_there_are_no_threads_to_read(tmp_path):
    assert disturbance._waited(tmp_path / "task") is None


@pytest.fixture
def hundred_ticks(monkeypatch):
    """A second of /proc/stat."""
    monkeypatch.setattr(disturbance.os, "sysconf", {"SC_CLK_TCK": 100}.__getitem__)


@pytest.mark.usefixtures("hundred_ticks")
def test_stolen_time_is_the_eighth_of_all_cores(tmp_path):
    stat = tmp_path / "stat"
    # user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice
    stat.write_text("cpu  1 2 3 4 5 6 7 825 9 10\ncpu0 1 2 3 4 5 6 7 413 9 10\n")
    assert disturbance._stolen(stat) == 8.25  # 825 / 100


@pytest.mark.usefixtures("hundred_ticks")
@pytest.mark.parametrize(
    "text", ["", "\n", "cpu  1 2 3 4 5 6 7\ncpu0 1 2 3 4 5 6 7 8\n", "cpu 1 2 3 4 5 6 7 much\n"]
)
def test_stolen_time_in_another_form_is_unknown(tmp_path, text):
    stat = tmp_path / "stat"
    stat.write_text(text)
    assert disturbance._stolen(stat) is None


def test_stolen_time_is_unknown_without_its_file(tmp_path):
    assert disturbance._stolen(tmp_path / "stat") is None


def test_a_counter_that_is_not_text_is_unknown(tmp_path):
    stat = tmp_path / "stat"
    stat.write_bytes(b"cpu \xff\xfe")
    assert disturbance._stolen(stat) is None


@pytest.mark.parametrize("counter", ["awake_s", "all_s", "waited_s", "stolen_s"])
def test_the_counters_of_this_machine_never_go_back(counter):
    values = [getattr(disturbance.read(), counter) for _ in range(20)]
    if None in values:
        assert set(values) == {None}
        assert counter != "awake_s"
    else:
        assert values[0] >= 0
        assert values == sorted(values)


def test_the_clock_that_counts_sleep_is_read_where_there_is_one(monkeypatch):
    monkeypatch.setattr(disturbance.time, "CLOCK_BOOTTIME", 7, raising=False)
    monkeypatch.setattr(disturbance.time, "clock_gettime", {7: 164.0}.__getitem__, raising=False)
    assert disturbance.read().all_s == 164.0


def test_a_system_without_that_clock_has_no_such_counter(monkeypatch):
    monkeypatch.delattr(disturbance.time, "CLOCK_BOOTTIME", raising=False)
    assert disturbance.read().all_s is None


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="no such file here")
def test_linux_reports_what_threads_waited():
    assert isinstance(disturbance.read().waited_s, float)
