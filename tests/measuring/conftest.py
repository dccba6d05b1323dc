from dataclasses import replace
from functools import partial

import pytest
from helpers.processes import TickingClock
from helpers.runs import (
    ROUND_S,
    TICK_S,
    VARIANTS,
    no_memory,
    raise_,
    undisturbed,
)

from attnbench.measuring.latency import measure as latency
from attnbench.measuring.latency import warm_up
from attnbench.measuring.selftest.simulated import Machine
from attnbench.measuring.steps import counting
from attnbench.measuring.steps.execute import execute
from attnbench.measuring.timing import Step
from attnbench.records.run import Run
from attnbench.records.schema import Count, Plan, Record
from attnbench.runtimes.table import Runtime


@pytest.fixture(autouse=True)
def no_compiler(monkeypatch):
    """Start no compiler for steps that are simulated."""
    monkeypatch.setattr(Runtime, "start", lambda *_: None)


@pytest.fixture
def counted(monkeypatch):
    """Counting takes no time; here is which networks were counted, and with what shape."""
    calls = []

    def count(model, shape):
        calls.append((model, shape))
        return {"params": Count(params=7)}

    monkeypatch.setattr(counting, "count_all", count)
    return calls


@pytest.fixture
def perform(events):
    """Execute a run on a clock that ticks once a block; returns the records."""

    def perform(run, clock=None, measure_memory=no_memory):
        told = events([run], clock, measure_memory=measure_memory)
        return [event for _, event in told if isinstance(event, Record)]

    return perform


@pytest.fixture
def events():
    """Execute runs, latency in this process, on a clock that ticks once a block."""

    def events(runs, clock=None, measure_memory=no_memory, measure_latency=None):
        here = partial(latency.measure, clock=clock or TickingClock(), look=undisturbed)
        measure_latency = measure_latency or here
        return list(execute(runs, measure_memory=measure_memory, measure_latency=measure_latency))

    return events


@pytest.fixture
def new_run(case):
    def make(variants=VARIANTS, budget_s=4 * ROUND_S, target=0.01, processes=1, **changes):
        plan = Plan(variants=variants, budget_s=budget_s, target=target, processes=processes)
        return Run(replace(case, **changes), plan, {"cpu": "A", "time": "12:00"})

    return make


@pytest.fixture
def machine(monkeypatch):
    """Networks whose steps cost a tick, or ``machine.cost_s[variant]``."""
    machine = Machine()
    machine.cost_s = {}

    def step(_, variant):
        return machine.step(machine.cost_s.get(variant, TICK_S), variant)

    monkeypatch.setattr(warm_up, "step", step)
    return machine


@pytest.fixture
def fails_at(monkeypatch):
    """Make a variant's step raise when it is called for the given time, 0 for when it is built."""

    def arrange(variant, call, error=None):
        error = error or RuntimeError(f"{variant} is out of memory")
        build = warm_up.step

        def failing(case, name):
            if name != variant:
                return build(case, name)
            if call == 0:
                raise error
            ready, calls = build(case, name), iter(range(1, call))
            return Step({"step": lambda: raise_(error) if next(calls, None) is None else ready()})

        monkeypatch.setattr(warm_up, "step", failing)

    return arrange
