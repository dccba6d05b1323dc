import pytest
import torch

from attnbench.devices import clocks
from attnbench.devices.clocks import RAMP_CYCLES, TRIAL_CYCLES, CpuClock, EventClock
from attnbench.devices.table import clock_for


def test_the_clock_of_a_cpu_is_the_monotonic_one(monkeypatch):
    monkeypatch.setattr(clocks, "perf_counter", iter([1.5, 4.0]).__next__)
    clock = clock_for("cpu")
    assert isinstance(clock, CpuClock)
    assert clock.seconds(clock.mark(), clock.mark()) == 2.5  # 4.0 - 1.5
    assert clock.queue is None


@pytest.fixture
def log(monkeypatch):
    """Events and spins of a GPU that is not there, in their order."""
    entries = []

    class Event:
        made = 0

        def __init__(self, enable_timing):
            assert enable_timing
            Event.made += 1
            self.number = Event.made

        def record(self):
            entries.append(f"record {self.number}")

        def synchronize(self):
            entries.append(f"wait for {self.number}")

        def query(self):
            return self.number == 1

        def elapsed_time(self, end):
            entries.append(f"from {self.number} to {end.number}")
            return 1500.0  # ms

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "_sleep", lambda cycles: entries.append(f"spin {cycles}"))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: entries.append("synchronize"))
    return entries


def test_the_clock_of_a_gpu_records_events_and_waits_for_the_later_one(log):
    clock = clock_for("cuda")
    assert isinstance(clock, EventClock)
    start, end = clock.mark(), clock.mark()
    assert log == ["record 1", "record 2"]
    assert clock.seconds(start, end) == 1.5
    assert log[2:] == ["wait for 2", "from 1 to 2"]
    clock.synchronize()
    assert log[-1] == "synchronize"


def test_whether_a_mark_has_passed_is_asked_without_waiting(log):
    clock = clock_for("cuda")
    first, second = clock.mark(), clock.mark()
    assert (clock.queue.passed(first), clock.queue.passed(second)) == (True, False)
    assert log == ["record 1", "record 2"]


def test_a_spin_is_as_long_as_the_rate_of_one_before_it_says(log):
    queue = clock_for("cuda").queue
    queue.spin(3.0)
    queue.spin(1e-12)
    assert [entry for entry in log if entry.startswith("spin")] == [
        f"spin {RAMP_CYCLES}",
        f"spin {TRIAL_CYCLES}",  # which takes 1.5 s here
        f"spin {2 * TRIAL_CYCLES}",  # 3.0 / 1.5
        "spin 1",
    ]


def test_a_device_without_a_kernel_that_spins_says_so():
    clock = EventClock(object, lambda: None, None)
    assert not clock.queue.spins
    with pytest.raises(RuntimeError, match="no kernel that spins"):
        clock.spin(1.0)
