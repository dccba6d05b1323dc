"""What of a run works in a process of its own."""

import os
from dataclasses import replace
from itertools import groupby

import pytest
from helpers.runs import (
    TICK_S,
    VARIANTS,
    first_records,
    no_memory,
    ran,
)

from attnbench.measuring.events import Beginning
from attnbench.measuring.latency import measure as latency
from attnbench.measuring.processes import norm_statistics, variation
from attnbench.measuring.steps import apart, counting
from attnbench.measuring.steps.apart import (
    latency_apart,
    memory_apart,
    statistics_apart,
    together_apart,
)
from attnbench.measuring.steps.execute import execute
from attnbench.records.run import gather
from attnbench.records.schema import (
    End,
    Failure,
    Record,
    Round,
)
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.system import worker

pytestmark = pytest.mark.usefixtures("small_host", "counted")


def test_memory_and_rounds_are_measured_in_processes_of_their_own(case, new_run, monkeypatch):
    monkeypatch.setattr(worker, "call", lambda *call: call)
    monkeypatch.setattr(worker, "stream", lambda *call: iter(call))
    run = new_run()
    assert memory_apart(case, "se") == (apart.memory.measure, case, "se")
    assert tuple(latency_apart(run)) == (latency.measure, run)


def test_a_network_whose_statistics_cannot_be_taken_leaves_the_others_theirs(
    new_run, monkeypatch, tmp_path
):
    taken = []

    def call(function, _, variant):
        assert function is norm_statistics.take
        taken.append(variant)
        if variant == PLAIN:
            raise worker.ChildDiedError("the worker process was killed")

    monkeypatch.setattr(worker, "call", call)
    run = new_run((PLAIN, CONTROL, "se", "eca", "sa"), processes=2)
    run.failures["eca"] = {"latency": Failure(step="latency", type="E", message="e")}
    assert not [*statistics_apart(run)]  # there is no folder for them
    run.norm_statistics = tmp_path
    told = [*statistics_apart(run)]
    assert told == [Beginning("norm statistics", name) for name in (PLAIN, "se", "sa")]
    assert taken == [PLAIN, "se", "sa"]


def test_each_further_process_starts_with_a_larger_environment(new_run, monkeypatch):
    sizes = []

    def stream(*_):
        sizes.append(len(os.environ.get(variation.PADDING, "")))  # the process starts here
        yield "first"
        assert variation.PADDING not in os.environ
        yield "second"

    monkeypatch.setattr(worker, "stream", stream)
    run = new_run()
    for process in range(3):
        assert list(latency_apart(run)) == ["first", "second"]
        run.rounds.append(Round(number=process, blocks=(), process=process))
    assert sizes == [variation.padding_bytes(run.case.seed, process) for process in range(3)]
    assert sizes[0] == 0 < sizes[1] != sizes[2]


def test_processes_follow_each_other_until_the_run_ends(new_run, events, machine):
    machine.cost_s["se"] = 2 * TICK_S
    machine.noise = 0.5  # no ratio is known well enough
    run = new_run(processes=3, budget_s=30 * 5 * TICK_S)
    told = events([run], machine)
    begun = [event.kind for _, event in told if isinstance(event, Beginning)]
    assert begun.count("warm-up") == 3 * len(VARIANTS)
    sizes = [len([*rounds]) for _, rounds in groupby(run.rounds, lambda timed: timed.process)]
    assert len(sizes) == 3
    assert min(sizes) >= 6
    assert run.end == End(reason="budget", rounds=sum(sizes))
    assert (
        gather([*first_records(run), *(e for _, e in told if isinstance(e, Record))], "file") == run
    )


def test_a_process_that_does_nothing_is_the_last(new_run):
    def nothing(_):
        return iter(())

    run = new_run()
    list(execute([run], measure_memory=no_memory, measure_latency=nothing))
    assert run.end is None


def test_what_nobody_has_seen_is_counted_in_a_process_of_its_own(case, monkeypatch):
    own = "mine.py:Mine"
    monkeypatch.setattr(worker, "call", lambda *call: call)
    case = replace(case, host="resnet18", image_size=64)
    assert counting.count_apart(case, own) == (counting._count_watched, case, own)
    piece = f"{own} layer2"
    asked = counting._alone(replace(case, isolated=True), piece)
    assert asked == (counting._alone_watched, replace(case, isolated=True), piece)
    for variant in ("plain", "eca"):
        assert isinstance(counting.count_apart(case, variant), dict)


def test_what_shares_its_rounds_is_timed_in_another_process(new_run, monkeypatch):
    run = new_run(variants=(PLAIN, CONTROL, "se"), budget_s=0.01)
    told = list(together_apart([run]))
    assert {position for position, _ in told} == {0}
    assert told[-1][1].results == End(reason="budget", rounds=1)
    sizes = []
    run.rounds.append(Round(number=0, blocks=()))
    stream = iter(lambda: (0, sizes.append(len(os.environ[variation.PADDING]))), None)
    monkeypatch.setattr(worker, "stream", lambda *_: stream)
    next(together_apart([run, run]))
    assert sizes == [variation.padding_bytes(run.case.seed, 1)]


def test_a_real_run_is_timed_in_another_process(new_run):
    run = new_run(variants=(PLAIN, CONTROL, "se"), budget_s=0.01)
    events = list(execute([run], measure_memory=no_memory))
    assert run.end.reason == "budget"
    assert ran(run) == [{PLAIN, CONTROL, "se"}]
    assert all(pair[0] is run for pair in events)
