"""Rounds on a simulated device that executes behind the host: two times, and failures."""

from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from helpers.runs import VARIANTS, kinds, raise_, rounds_in
from helpers.simulated_device import SimulatedDevice

from attnbench.devices import recovery
from attnbench.measuring.latency import measure as latency
from attnbench.measuring.latency import warm_up
from attnbench.measuring.latency.warm_up import launches_of
from attnbench.measuring.timing import Step
from attnbench.records.schema import Count, End, Record
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.runtimes import cuda_graph
from attnbench.stats import ratios
from attnbench.stats.interval import Interval
from attnbench.stats.quantities.device_time import device_rounds

pytestmark = pytest.mark.usefixtures("small_host", "counted")

WORK = {PLAIN: (20, 24, 9), CONTROL: (20, 24, 9), "se": (30, 24, 8), "eca": (24, 24, 9)}
BUDGET_S = 0.3


@pytest.fixture
def device(monkeypatch):
    """A device whose networks launch kernels as in WORK, and which computes when it is asked."""
    device = SimulatedDevice()
    device.alive = True
    device.released = []
    device.patch = monkeypatch
    monkeypatch.setattr(warm_up, "step", lambda _, variant: device.step(*WORK[variant], variant))

    def recover(where):
        device.released.append(where)
        device.error = None
        return device.alive

    monkeypatch.setattr(recovery, "recover", recover)
    return device


def replace_step(device, variant, change):
    """Let ``change(issue)`` be the variant's step, ``issue`` the one that it has."""
    build = warm_up.step

    def built(case, name):
        ready = build(case, name)
        return Step({"step": change(ready)}) if name == variant else ready

    device.patch.setattr(warm_up, "step", built)


def test_every_block_has_both_times(new_run, perform, device):
    run = new_run(device="cuda", budget_s=BUDGET_S)
    (first, *_) = rounds_in(perform(run, clock=device))
    for block in first.blocks:
        kernels, host_us, device_us = WORK[block.variant]
        assert block.issued_s == pytest.approx(block.steps * kernels * host_us * 1e-6)
        expected = block.device.steps * kernels * device_us * 1e-6
        assert block.device.seconds == pytest.approx(expected)
    of_device = ratios.ratio(device_rounds(run.rounds), "se")
    assert of_device.median == pytest.approx(30 * 8 / (20 * 9))
    assert ratios.ratio(run.rounds, "se").median == pytest.approx(30 / 20, rel=1e-3)


def test_the_budget_includes_device_times_and_spins(new_run, perform, device):
    run = new_run(device="cuda", budget_s=BUDGET_S)
    perform(run, clock=device)
    spent = [
        block.seconds + block.device.seconds + block.device.spin_s
        for each in run.rounds
        for block in each.blocks
    ]
    assert run.timed_s == pytest.approx(sum(spent))
    assert run.end == End(reason="budget", rounds=len(run.rounds))
    assert run.timed_s - run.rounds[-1].seconds < BUDGET_S <= run.timed_s


def test_a_run_stops_at_the_target_of_both_times(new_run, perform, device, monkeypatch):
    run = new_run(device="cuda", budget_s=1e3)
    perform(run, clock=device)
    assert run.end == End(reason="target", rounds=30)
    asked = []

    def ratio(rounds, variant, *_, **__):
        asked.append((rounds, variant))
        return Interval(1.0, 1.0, 1.0)

    monkeypatch.setattr(ratios, "ratio", ratio)
    again = new_run(device="cuda", budget_s=1e3)
    perform(again, clock=device)
    users, of_device = again.rounds, device_rounds(again.rounds)
    assert {variant for rounds, variant in asked if rounds == users} == {*VARIANTS[1:]}
    assert {variant for rounds, variant in asked if rounds == of_device} == {*VARIANTS[1:]}


def test_kernels_are_those_that_were_counted(new_run):
    run = new_run(device="cuda")
    run.counts["se"] = {"executed": Count(details={"kernels": 7})}
    run.counts[PLAIN] = {"executed": Count(details={"kernels": 5})}
    known = [launches_of(run, name) for name in ("se", CONTROL, "eca")]
    assert known == [7, 5, None]
    run.case = replace(run.case, mode="training")
    assert launches_of(run, "se") is None
    run.counts["se"] |= {"executed, training step": Count(details={"kernels": 21})}
    assert launches_of(run, "se") == 21
    run.case = replace(run.case, runtime="cuda-graph")
    assert launches_of(run, "se") == 1


def test_a_step_that_waits_for_the_device_is_timed_and_has_no_device_time(new_run, perform, device):
    replace_step(device, "se", lambda issue: lambda: (issue(), device.synchronize()))
    run = new_run(device="cuda", budget_s=BUDGET_S)
    perform(run, clock=device)
    error = run.failures["se"]["device time"]
    assert (error.type, error.message[:14]) == ("NotAheadError", "no device time")
    of_se = [block for each in run.rounds for block in each.blocks if block.variant == "se"]
    assert of_se
    assert all(block.device is None for block in of_se)
    assert not run.failed("se", "latency")
    assert device.released == []


def test_a_resumed_run_does_not_try_its_device_time_again(new_run, perform, device):
    replace_step(device, "se", lambda issue: lambda: (issue(), device.synchronize()))
    run = new_run(device="cuda", budget_s=BUDGET_S)
    perform(run, clock=device)
    run.end = None
    run.plan = replace(run.plan, budget_s=2 * BUDGET_S)
    assert "device time" not in [kind for kind, _ in kinds(perform(run, clock=device))]


def fails(device, at, error=None):
    """Make a step whose kernel fails at that call, and is noticed at the next wait."""
    calls = iter(range(1, at))

    def change(issue):
        def step():
            issue()
            if next(calls, None) is None and not device.error:
                device.error = error or RuntimeError("CUDA error: device-side assert triggered")

        return step

    return change


def calls_of_warm_up(device, variant, new_run, perform):
    """Return how often the variant's step is called before the rounds."""
    count, build = [], warm_up.step
    replace_step(device, variant, lambda issue: lambda: (count.append(1), issue()))
    run = new_run(device="cuda", budget_s=1e-9)
    perform(run, clock=device)
    device.patch.setattr(warm_up, "step", build)
    (block,) = [block for block in run.rounds[0].blocks if block.variant == variant]
    return len(count) - block.steps - block.device.steps


@pytest.mark.parametrize("alive", [True, False])
def test_an_error_that_the_device_reports_late_is_its_variants(new_run, perform, device, alive):
    warm_up = calls_of_warm_up(device, "se", new_run, perform)
    device.alive = alive
    replace_step(device, "se", fails(device, warm_up + 5))
    run = new_run(device="cuda", budget_s=BUDGET_S)
    perform(run, clock=device)
    assert list(run.failures) == ["se"]
    assert "device-side assert" in run.failures["se"]["latency"].message
    assert {block.variant for block in run.rounds[0].blocks} == {PLAIN, CONTROL, "eca"}
    assert run.end.reason == "budget"


def test_the_record_comes_before_memory_is_released_and_the_device_is_probed(new_run, device):
    replace_step(device, "se", fails(device, 1))
    run = new_run(device="cuda", budget_s=BUDGET_S)
    for event in latency.measure(run, device):
        if isinstance(event, Record) and event.error:
            assert device.released == []
            break
    else:
        pytest.fail("no record of the failure")


@pytest.mark.parametrize("in_round", [False, True])
def test_a_lost_device_ends_the_process_and_a_fresh_one_goes_on_without_the_variant(
    new_run, events, perform, device, in_round
):
    at = 1
    if in_round:
        at = 5 + calls_of_warm_up(device, "se", new_run, perform)
    device.alive = False
    replace_step(device, "se", fails(device, at))
    started = []

    def measure(run):
        started.append([name for name in run.plan.variants if not run.failed(name, "latency")])
        device.error = None  # a fresh context
        return latency.measure(run, device)

    run = new_run(device="cuda", budget_s=BUDGET_S)
    events([run], measure_latency=measure)
    assert started == [[*VARIANTS], [PLAIN, CONTROL, "eca"]]
    assert device.released == ["cuda"]  # once
    assert run.end.reason == "budget"
    assert [each.number for each in run.rounds] == list(range(len(run.rounds)))
    assert {block.variant for block in run.rounds[-1].blocks} == {PLAIN, CONTROL, "eca"}
    run.end = None
    events([run], measure_latency=measure)  # the same folder again
    assert started[2:] == [[PLAIN, CONTROL, "eca"]]


def test_a_plain_host_that_loses_the_device_ends_the_run(new_run, events, device):
    device.alive = False
    replace_step(device, PLAIN, fails(device, 1))

    def measure(run):
        device.error = None
        return latency.measure(run, device)

    run = new_run(device="cuda", budget_s=BUDGET_S)
    events([run], measure_latency=measure)
    assert run.end == End(reason="failed", rounds=0)
    assert list(run.failures) == [PLAIN]


def test_a_measurement_that_ends_without_an_end_or_a_failure_is_not_begun_again(new_run, events):
    started = []
    events([new_run()], measure_latency=lambda run: started.append(run) or iter(()))
    assert len(started) == 1


def broken(*_, **__):
    raise RuntimeError("captures_underway.empty() INTERNAL ASSERT FAILED")


@pytest.mark.parametrize(
    ("name", "called", "alive"),
    [
        ("empty_cache", ["synchronize", "synchronize"], True),
        ("synchronize", ["empty_cache"], False),
        (None, ["empty_cache", "synchronize", "synchronize"], True),
    ],
)
def test_recovery_survives_what_release_and_probe_raise(monkeypatch, name, called, alive):
    asked = []
    for function in ("empty_cache", "synchronize"):
        replacement = broken if function == name else partial(asked.append, function)
        monkeypatch.setattr(torch.cuda, function, replacement)
    ones = torch.ones
    monkeypatch.setattr(recovery.torch, "ones", lambda size, **_: ones(size))
    assert recovery.recover("cuda") is alive
    assert asked == called


def test_a_capture_that_cannot_end_is_its_variants_failure_alone(
    new_run, perform, device, monkeypatch
):
    """The suite's own capture, with torch's graph as a stub."""

    class Graph:
        def capture_begin(self):
            pass

        def capture_end(self):
            pass

        def pool(self):
            return None

    @contextmanager
    def graph(made, pool):  # noqa: ARG001
        made.capture_begin()
        try:
            yield
        finally:
            made.capture_end()

    stream = SimpleNamespace(wait_stream=lambda _: None)
    for name, stub in {
        "CUDAGraph": Graph,
        "graph": graph,
        "Stream": lambda: stream,
        "current_stream": lambda: stream,
        "stream": lambda _: nullcontext(),
        "set_stream": lambda _: None,
        "graph_pool_handle": object,
    }.items():
        monkeypatch.setattr(torch.cuda, name, stub)
    build = warm_up.step

    def built(case, variant):
        step = build(case, variant)
        with monkeypatch.context() as patched:
            if variant == "se":
                why = RuntimeError("operation failed due to a previous error during capture")
                patched.setattr(Graph, "capture_end", lambda _: raise_(why))
            cuda_graph.capture(step)
        return step

    monkeypatch.setattr(warm_up, "step", built)
    run = new_run(device="cuda", runtime="cuda-graph", budget_s=BUDGET_S)
    perform(run, clock=device)
    assert run.failures["se"]["latency"].message.startswith("operation failed due to a previous")
    assert list(run.failures) == ["se"]
    assert device.released == ["cuda"]
    assert {block.variant for block in run.rounds[0].blocks} == {PLAIN, CONTROL, "eca"}
    assert run.end.reason == "budget"


def test_a_device_that_computes_wrong_numbers_is_lost(monkeypatch):
    ones = torch.ones
    monkeypatch.setattr(recovery.torch, "ones", lambda size, **_: 2 * ones(size))
    assert recovery.recover("cpu") is False
