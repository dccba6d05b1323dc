import io
from contextlib import closing
from dataclasses import replace

import pytest
from rich.console import Console

from attnbench.cli.run.bar import Bar
from attnbench.cli.run.forecast import STEP_S
from attnbench.measuring.events import Beginning
from attnbench.records.run import Run
from attnbench.records.schema import Block, Counts, End, Plan, Record, Round

PLAN = Plan(variants=("plain", "control", "sa"), budget_s=10.0, target=0.01)
WHOLE_S = 10 + 2 * (STEP_S["counts"] + STEP_S["memory"]) + 3 * STEP_S["warm-up"]


@pytest.fixture
def new_run(case):
    return lambda **changes: Run(replace(case, **changes), PLAN, {})


def record(run, results, variant=None):
    return Record(case=run.case, variant=variant, results=results, environment={})


def round_of(number, seconds):
    blocks = (
        Block(variant=variant, steps=1, seconds=seconds / len(PLAN.variants))
        for variant in PLAN.variants
    )
    return Round(number=number, blocks=tuple(blocks))


def positions(bar, events):
    """Where the bar stands after each event, and what it says."""
    task, seen = bar._progress.tasks[0], []
    with closing(bar):
        for run, event in events:
            bar.show(run, event)
            seen.append((task.completed, task.description))
    return seen


@pytest.fixture
def new_bar():
    def make(*runs):
        bar = Bar(Console(file=io.StringIO(), width=80))
        for run in runs:
            bar.add(run)
        return bar

    return make


def test_the_bar_counts_expected_seconds_and_those_of_the_rounds(new_run, new_bar):
    run = new_run()
    bar = new_bar(run)
    assert bar._progress.tasks[0].total == WHOLE_S
    counted, timed = record(run, Counts(rules={}), "plain"), record(run, round_of(0, 2.5))
    end = record(run, End(reason="budget", rounds=1))
    steps = [Beginning("counts", "sa"), counted, Beginning("round", None), timed, end]
    seen = positions(bar, [(run, step) for step in steps])
    after_counts = STEP_S["counts"]
    assert seen == [
        (after_counts, "counts sa"),
        (after_counts, "counts sa"),
        (after_counts, "round 1"),
        (after_counts + 2.5, "round 1"),
        (WHOLE_S, "done"),
    ]


def test_one_bar_goes_over_all_runs_and_says_which_one_it_is_at(new_run, new_bar):
    first, second = new_run(), new_run(batch_size=1)
    bar = new_bar(first, second)
    assert bar._progress.tasks[0].total == 2 * WHOLE_S
    end = record(first, End(reason="budget", rounds=0))
    seen = positions(bar, [(first, end), (second, Beginning("memory", "sa"))])
    assert seen == [(WHOLE_S, "done"), (WHOLE_S + STEP_S["memory"], "2 of 2: memory sa")]


def test_what_an_earlier_call_did_is_done(new_run, new_bar):
    run, finished = new_run(), new_run(batch_size=1)
    run.add(record(run, Counts(rules={}), "plain"))
    run.add(record(run, round_of(0, 2.0)))
    finished.end = End(reason="budget", rounds=0)
    bar = new_bar(run, finished)
    seen = positions(bar, [(run, Beginning("round", None))])
    assert seen[0][0] == WHOLE_S + STEP_S["counts"] + 2.0


def test_the_bar_draws_nothing_of_its_own_accord(new_run, new_bar):
    assert not new_bar(new_run())._progress.live.auto_refresh
