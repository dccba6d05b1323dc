import io
from dataclasses import replace

import pytest
from rich.console import Console

from attnbench.cli.output import STEP_S, Bar, console, images_bar
from attnbench.measuring.events import Beginning
from attnbench.records.run import Run
from attnbench.records.schema import Block, Counts, End, Plan, Record, Round

PLAN = Plan(variants=("plain", "control", "sa"), budget_s=10.0, target=0.01)
WHOLE_S = 10 + 2 * (STEP_S["counts"] + STEP_S["memory"]) + 3 * STEP_S["warm-up"]


@pytest.fixture
def new_run(case):
    return lambda **changes: Run(replace(case, **changes), PLAN, {})


def record(run, results):
    return Record(case=run.case, results=results, environment={})


def round_of(number, seconds):
    return Round(number=number, blocks=(Block(variant="plain", steps=1, seconds=seconds),))


def watched(bar, events):
    """The records that pass, and after each event where the bar stands and what it says."""
    seen = []
    task = bar._progress.tasks[0]

    def told():
        for event in events:
            yield event
            seen.append((task.completed, task.description))

    return list(bar.watch(told())), seen


def quiet():
    return Console(file=io.StringIO(), width=80)


def test_the_bar_counts_expected_seconds_and_those_of_the_rounds(new_run):
    run = new_run()
    bar = Bar([run], quiet())
    assert bar._progress.tasks[0].total == WHOLE_S
    counted, timed = record(run, Counts(rules={})), record(run, round_of(0, 2.5))
    end = record(run, End(reason="target", rounds=1))
    steps = [Beginning("counts", "sa"), counted, Beginning("round", None), timed, end]
    passed, seen = watched(bar, [(run, step) for step in steps])
    assert passed == [(run, counted), (run, timed), (run, end)]
    after_counts = STEP_S["counts"]
    assert seen == [
        (after_counts, "counts sa"),
        (after_counts, "counts sa"),
        (after_counts, "round 1"),
        (after_counts + 2.5, "round 1"),
        (WHOLE_S, "done"),
    ]


def test_one_bar_goes_over_all_runs_and_says_which_one_it_is_at(new_run):
    first, second = new_run(), new_run(batch_size=1)
    bar = Bar([first, second], quiet())
    assert bar._progress.tasks[0].total == 2 * WHOLE_S
    end = record(first, End(reason="target", rounds=0))
    _, seen = watched(bar, [(first, end), (second, Beginning("memory", "sa"))])
    assert seen == [(WHOLE_S, "done"), (WHOLE_S + STEP_S["memory"], "2 of 2: memory sa")]


def test_what_an_earlier_call_did_is_done(new_run):
    run, finished = new_run(), new_run(batch_size=1)
    run.add(record(run, Counts(rules={})))
    run.add(record(run, round_of(0, 2.0)))
    finished.end = End(reason="target", rounds=0)
    bar = Bar([run, finished], quiet())
    _, seen = watched(bar, [(run, Beginning("round", None))])
    assert seen[0][0] == WHOLE_S + STEP_S["counts"] + 2.0


def test_the_bar_draws_nothing_of_its_own_accord(new_run):
    assert not Bar([new_run()], quiet())._progress.live.auto_refresh


def test_a_bar_over_images_begins_again_for_each_thing_that_is_done_with_them():
    shown = io.StringIO()
    with images_bar(9, Console(file=shown, width=80, force_terminal=True)) as told:
        told("reading", 0)
        told("reading", 9)
        told("evaluating", 0)
        told("evaluating", 3)
    text = shown.getvalue()
    assert text.index("reading") < text.rindex("100%") < text.index("evaluating")
    assert " 33%" in text


def test_a_name_between_colons_is_no_emoji(capsys: pytest.CaptureFixture[str]) -> None:
    console().print("The code of mine.py:Key: sha256", markup=False)
    assert capsys.readouterr().out == "The code of mine.py:Key: sha256\n"
