"""What every row of the table must hold, also of devices that are not here: a stub of each.

CUDA, XPU and MPS have never run this suite; what is tested is that they are asked as torch's
documentation says.
"""

import json
from dataclasses import fields, replace
from types import SimpleNamespace

import pytest
import torch

from attnbench.devices import cuda, nvml, table
from attnbench.devices.clocks import Clock
from attnbench.devices.recovery import recover
from attnbench.devices.table import KINDS, automatic, fault, kind_of, select
from attnbench.measuring import memory
from attnbench.records import device as names
from attnbench.report.tables.run import MEMORY
from attnbench.stats.ratios import TARGET

MIB = 2**20


class Event:
    """An event that has passed when it is waited for, 2 ms after the one before."""

    made = 0

    def __init__(self, enable_timing=False):
        assert enable_timing
        self.number = self.waited = 0

    def record(self):
        Event.made += 1
        self.number = Event.made

    def query(self):
        return False

    def synchronize(self):
        self.waited += 1

    def elapsed_time(self, end):
        assert end.waited
        return 2.0 * (end.number - self.number)


class Stub:
    """A module of torch for one kind of device; ``log`` has the calls that change something."""

    def __init__(self, count=2):
        self.log, self.count, self.peak = [], count, 30 * MIB
        self.event = SimpleNamespace(Event=Event)
        self.Event = Event

    def is_available(self):
        return self.count > 0

    def device_count(self):
        return self.count

    def set_device(self, number):
        self.log.append(("select", number))

    def _sleep(self, cycles):
        self.log.append(("spin", cycles))

    def get_device_properties(self, number):
        known = {"name": f"GPU {number}", "uuid": f"u{number}", "total_memory": 2**30}
        return SimpleNamespace(**known, major=9, minor=0, multi_processor_count=132)

    def reset_peak_memory_stats(self):
        self.peak = 0

    def memory_allocated(self):
        return 10 * MIB

    def max_memory_allocated(self):
        return max(self.peak, 25 * MIB)

    def memory_reserved(self):
        return 20 * MIB

    def max_memory_reserved(self):
        return max(self.peak, 40 * MIB)

    def get_device_capability(self, *_):
        return (9, 0)

    def recommended_max_memory(self):
        return 2**30

    def __getattr__(self, name):
        if name not in {"empty_cache", "synchronize"}:
            raise AttributeError(name)
        return lambda: self.log.append((name,))


@pytest.fixture(params=["cuda", "xpu", "mps"])
def stubbed(request, monkeypatch):
    """The name of a kind whose part of torch is a stub, and the stub."""
    stub = Stub()
    if request.param == "cuda":
        monkeypatch.setattr(cuda.torch, "cuda", stub)
        for name in ("moment", "constants"):
            monkeypatch.setattr(nvml, name, lambda _: {})
        monkeypatch.setattr(nvml, "driver", lambda: None)
    elif request.param == "xpu":
        monkeypatch.setattr("attnbench.devices.xpu._xpu", stub)
    else:
        monkeypatch.setattr("attnbench.devices.mps._mps", stub)
        monkeypatch.setattr(torch.backends.mps, "is_available", stub.is_available)
    return request.param, stub


def test_every_name_of_records_has_a_row_and_a_target_and_a_table_of_memory():
    assert set(names.KINDS) == set(KINDS) == set(TARGET) == set(MEMORY)
    assert all(kind.name == name for name, kind in KINDS.items())


def test_only_the_cpu_has_run():
    assert [name for name, kind in KINDS.items() if kind.has_run] == ["cpu"]


def test_only_cuda_has_graphs():
    assert [name for name, kind in KINDS.items() if kind.graphs] == ["cuda"]


def test_a_clock_marks_waits_and_measures(stubbed):
    name, stub = stubbed
    clock: Clock = kind_of(name).clock()
    clock.synchronize()
    assert stub.log == [("synchronize",)]
    start, end = clock.mark(), clock.mark()
    assert not clock.queue.passed(start)
    assert clock.seconds(start, end) == 0.002
    assert clock.queue.host_s() > 0
    assert clock.queue.spins is (name == "cuda")


def test_one_of_several_is_selected_and_one_that_is_not_there_is_refused(stubbed):
    name, stub = stubbed
    if name == "mps":
        select("mps")
        assert stub.log == []
        assert fault("mps") is None
        return
    select(name)
    assert stub.log == []  # nothing has to be set up for it
    select(f"{name}:1")
    assert stub.log == [("select", 1)]
    assert fault(f"{name}:1") is None
    assert fault(f"{name}:2") == f"there is no {name}:2: torch sees {name}:0, {name}:1"


def test_a_device_that_torch_does_not_see_is_refused(stubbed):
    name, stub = stubbed
    stub.count = 0
    message = f"no {name.upper()} device is available to torch; use --device cpu"
    assert fault(name) == message
    assert automatic() == "cpu"


def test_a_device_that_is_there_is_taken(stubbed):
    assert automatic() == stubbed[0]


def test_its_facts_are_flat_and_name_it(stubbed):
    name, _ = stubbed
    facts = kind_of(name).facts(names.number_of("cuda:1"))
    assert "GPU" in facts["gpu"]
    assert facts["gpu_memory_bytes"] == 2**30
    assert facts.get("gpu_uuid") == (None if name == "mps" else "u1")
    assert json.loads(json.dumps(facts)) == facts


def test_its_peaks_are_those_since_the_reset_or_none(stubbed):
    name, stub = stubbed
    calls = []
    taken = memory.on_device(lambda: calls.append("step"), 7, kind_of(name))
    assert taken.peak_live_bytes == 7
    peaks = (taken.allocated_bytes, taken.peak_allocated_bytes, taken.reserved_bytes)
    if name == "mps":
        assert peaks == (None, None, None)
        return
    assert peaks == (10 * MIB, 25 * MIB, 20 * MIB)
    assert taken.peak_reserved_bytes == 40 * MIB
    assert calls == ["step", "step"]
    assert stub.log == [("synchronize",), ("empty_cache",), ("synchronize",)]


def test_a_device_that_is_not_there_does_not_answer(stubbed):
    name, stub = stubbed
    assert recover(name) is False  # the stub computes nothing
    assert stub.log[:2] == [("empty_cache",), ("synchronize",)]


def test_every_row_states_all_of_its_fields():
    for kind in KINDS.values():
        for known in fields(kind):
            if known.name != "memory":
                assert getattr(kind, known.name) is not None, (kind.name, known.name)


def test_the_table_is_what_asks(monkeypatch):
    selected = []
    row = SimpleNamespace(select=selected.append, clock=lambda: "the clock")
    monkeypatch.setitem(table.KINDS, "cuda", row)
    table.select("cuda:3")
    assert (selected, table.clock_for("cuda:3")) == ([3], "the clock")


def test_the_memory_of_captured_steps_is_that_of_private_pools(monkeypatch):
    segments = [
        {"total_size": 20 * MIB, "segment_pool_id": (0, 0)},
        {"total_size": 2 * MIB, "segment_pool_id": (0, 1)},
        {"total_size": 40 * MIB, "segment_pool_id": [0, 1]},
        {"total_size": 7},  # of a torch that does not say
    ]
    monkeypatch.setattr(torch.cuda, "memory_snapshot", lambda: segments)
    assert cuda.graph_pools() == 42 * MIB


@pytest.mark.parametrize(("captured", "expected"), [(True, 42), (False, None)])
def test_a_captured_step_has_its_pools_memory_too(monkeypatch, case, captured, expected):
    ran = []
    counters = replace(cuda.MEMORY, graph_pools=lambda: 42)
    row = replace(KINDS["cuda"], memory=counters, synchronize=lambda: ran.append("synchronize"))
    monkeypatch.setitem(KINDS, "cuda", row)
    monkeypatch.setattr(
        memory.workload, "step", lambda case, _: lambda: ran.append(case.cuda_graph)
    )
    case = replace(case, device="cuda", runtime="cuda-graph" if captured else "eager")
    assert memory._graph_pool(case, "se") == expected
    assert ran == ([True, "synchronize"] if captured else [])
