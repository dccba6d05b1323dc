"""The plain host beside custom code and without it, on two simulated clocks."""

import re
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from math import exp
from random import Random

import pytest
from helpers.runs import TICK_S, kinds

from attnbench.measuring.events import record
from attnbench.measuring.latency import warm_up
from attnbench.measuring.processes import witness
from attnbench.measuring.steps.restarts import latency
from attnbench.measuring.timing import Step
from attnbench.records.run import Run
from attnbench.records.schema import Block, End, Plan, Round
from attnbench.records.variants import alone
from attnbench.report.tables.remarks import remarks
from attnbench.report.tables.run import LoadedRun
from attnbench.stats import witness as seen
from attnbench.system.worker import ChildDiedError

MINE = "mine.py:Mine"
BLOCK = Block(variant="plain", steps=1, seconds=1.0)


@pytest.fixture
def custom(case):
    return Run(case, plan_of(MINE), {})


def plan_of(*names, **sources):
    """Return a plan with custom modules, and other sources."""
    digests = {name: f"sha256 {name}" for name in names} | sources
    variants = ("plain", "control", *names)
    return Plan(variants=variants, budget_s=100.0, target=0.01, sources=digests)


def process_of(run, process, rounds, factor, random):
    """What a process with custom code yields: rounds, and an end with the last of three."""
    for _ in range(rounds):
        taken = factor * exp(random.gauss(0, 0.02))
        blocks = tuple(replace(BLOCK, variant=name, seconds=taken) for name in run.plan.variants)
        timed = Round(number=len(run.rounds), process=process, blocks=blocks)
        yield record(run, None, results=timed)
    if process == 2:
        yield record(run, None, results=End(reason="budget", rounds=len(run.rounds)))


def noisy_blocks(random):
    while True:
        yield replace(BLOCK, steps=2, seconds=2 * exp(random.gauss(0, 0.02)))


def measured(run, factor, seed=0):
    """Measure a run of three processes that the custom code slows down by the factor."""
    random = Random(seed)

    def measure(run):
        process = len({timed.process for timed in run.rounds})
        shift = factor * exp(random.gauss(0, 0.002))
        events = process_of(run, process, 20, shift, random)
        return witness.witnessed(run, events, lambda _: noisy_blocks(random))

    perform(run, measure)
    return run


def perform(run, measure):
    records = []
    for event in latency(run, measure):
        run.add(event)
        records.append(event)
    return records


@pytest.mark.parametrize("factor", [1.0, 1.04, 0.97])
def test_custom_code_may_leave_the_plain_host_within_5_percent(custom, factor):
    for seed in range(5):
        run = measured(replace(custom, rounds=[], end=None), factor, seed)
        assert run.end == End(reason="budget", rounds=60)
        assert seen.ratio(run).median == pytest.approx(factor, abs=0.01)
    expected = f"plain in the processes with custom code took {factor:.2f}"
    assert any(line.startswith(expected[:-1]) for line in remarks(LoadedRun(run)))


@pytest.mark.parametrize(("factor", "shown"), [(1.10, r"1\.\d+"), (0.9, r"0\.\d+")])
def test_custom_code_that_changes_the_plain_host_ends_the_run_and_is_named(custom, factor, shown):
    run = measured(custom, factor)
    assert run.end.reason == "failed"
    assert len(run.rounds) == 60  # they are kept
    assert re.match(rf"{re.escape(MINE)}: plain takes {shown} \[", run.end.message)
    assert run.end.message.endswith("more than 5% is interference")
    assert not run.finished


def test_of_several_custom_modules_none_is_named(custom):
    message = measured(replace(custom, plan=plan_of(MINE, "other.py:Other")), 1.2).end.message
    assert message.startswith("the custom modules: plain takes ")


def test_of_one_process_more_is_needed_as_nothing_shows_what_differs_between_two(custom):
    def run_of(factor):
        blocks = tuple(replace(BLOCK, variant=v, seconds=factor) for v in custom.plan.variants)
        rounds = [Round(number=n, blocks=blocks, witness=BLOCK) for n in range(30)]
        return replace(custom, rounds=rounds)

    assert seen.ratio(run_of(1.07)).low == pytest.approx(1.07 / exp(2.4469 * 0.013), rel=1e-3)
    assert witness.fault(run_of(1.07)) is None
    assert witness.fault(run_of(1.09)) is not None


def test_rounds_without_a_witness_say_nothing(custom):
    blocks = tuple(replace(BLOCK, variant=variant) for variant in custom.plan.variants)
    custom.rounds += [Round(number=number, blocks=blocks) for number in range(9)]
    assert seen.ratio(custom) is None
    assert witness.fault(custom) is None


def test_a_witness_that_dies_ends_the_run_and_is_nobodys_fault(custom):
    def dies():
        yield BLOCK
        raise ChildDiedError("the worker process was killed")

    def measure(run):
        return witness.witnessed(run, process_of(run, 0, 9, 1.0, Random(0)), lambda _: dies())

    records = perform(custom, measure)
    assert kinds(records) == [("end", None)]
    assert records[0].results.message == (
        "WitnessError: the plain host in a process without custom modules: "
        "ChildDiedError: the worker process was killed"
    )
    assert custom.failures == {}


def test_a_witness_ends_with_what_it_stands_beside_though_an_error_holds_both(custom):
    ended = []

    def begin(_):
        try:
            while True:
                yield BLOCK
        finally:
            ended.append(True)

    def fails():
        raise ChildDiedError("the worker process was killed")
        yield

    with pytest.raises(ChildDiedError):
        list(witness.witnessed(custom, fails(), begin))
    assert ended == [True]


def test_the_witness_times_the_baseline_after_another_network_and_moves_both(
    custom, machine, monkeypatch
):
    machine.cost_s = {"plain": 2 * TICK_S}
    moves = []

    def step(_, variant):
        made = machine.step(machine.cost_s.get(variant, TICK_S), variant)
        return Step(made.parts, lambda: moves.append(variant))

    monkeypatch.setattr(warm_up, "step", step)
    found = list(islice(witness.blocks(custom, machine), 6))
    assert found == [Block(variant="plain", steps=1, seconds=2 * TICK_S)] * 6
    assert machine.log[-5:] == ["control", "mark", "plain", "mark", "wait"]
    assert moves == ["plain", "control"]


def test_a_run_without_custom_modules_has_no_witness(new_run):
    assert seen.custom_modules(new_run()) == []


def test_a_custom_host_is_no_custom_module(new_run):
    run = new_run(variants=("plain", "control", "se"))
    run.plan = replace(run.plan, sources={"plain": "sha256 of a host"})
    assert seen.custom_modules(run) == []
    run.plan = plan_of(MINE, plain="sha256 of a host")
    assert seen.custom_modules(run) == [MINE]


def test_a_row_with_settings_of_its_own_runs_no_code_of_others(new_run):
    assert seen.custom_modules(new_run(variants=("plain", "control", "se,reduction=8"))) == []


def test_isolated_pieces_are_one_module(new_run):
    run = new_run(variants=alone((MINE, "sa")), isolated=True)
    run.plan = replace(run.plan, sources={MINE: "sha256 mine"})
    assert seen.custom_modules(run) == [MINE]


def test_of_files_that_were_exported_no_code_runs(custom):
    exported = replace(custom, case=replace(custom.case, runtime="onnxruntime"))
    assert seen.custom_modules(custom) == [MINE]
    assert seen.custom_modules(exported) == []


def test_what_holds_for_a_step_alone_holds_in_the_witness(custom, machine, monkeypatch):
    """As the ceiling of a module alone, whose products use TF32."""
    held = []

    @contextmanager
    def during():
        held.append(True)
        yield
        held.append(False)

    def step(_, variant):
        parts = {"step": lambda: ran.append(held[-1:])}
        return Step(parts | machine.step(TICK_S, variant).parts, during=during)

    ran = []
    monkeypatch.setattr(warm_up, "step", step)
    list(islice(witness.blocks(custom, machine), 2))
    assert ran
    assert all(each == [True] for each in ran)
