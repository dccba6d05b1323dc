import io
from dataclasses import replace

import pytest
import typer
from rich.console import Console

from attnbench.cli.app import app
from attnbench.cli.run import STEP_S, Bar
from attnbench.measuring.events import Beginning
from attnbench.records.run import Run
from attnbench.records.schema import Block, Counts, End, Plan, Record, Round

MODULE_HELP = (
    "A custom module, whose code is run: file.py:ClassName, timm:NAME, or an entry point; with "
    ",site=after_bn3 and ,key=value for its settings. May be repeated; without --modules alone."
)
HOST_HELP = (
    "A ResNet or detector of torchvision by its name there, sknet50, sknet101, "
    "resnet50_backbone, ..."
)
SEVERAL = "One, or several with commas."

OPTIONS = [  # flag, what stands for its value, default as shown, help
    ("--modules", None, "all seven", "Names, comma-separated."),
    ("--module", "SPEC", True, MODULE_HELP),
    ("--host", None, "resnet50", HOST_HELP),
    ("--device", None, "auto", None),
    ("--batch-size", "N,...", "1", SEVERAL),
    (
        "--image-size",
        "N|HxW,...",
        "224; 800x1333 for a detector",
        f"A square's side, or height x width. {SEVERAL}",
    ),
    ("--dtype", "NAME,...", "float32", "float32, bfloat16, float16"),
    ("--channels-last", None, True, "NHWC memory layout."),
    ("--mode", "NAME,...", "inference", "inference, training"),
    ("--compile", None, True, "Networks through torch.compile."),
    ("--eager", None, True, "With --compile: the eager ones as well."),
    ("--cuda-graph", None, True, "Steps captured, then replayed."),
    ("--isolated", None, True, "Modules alone, at the sizes they have in the host."),
    ("--stages", "N,...", "1,2,3,4", "That carry the module, such as 2,3,4 or c3-c5."),
    ("--blocks", "NAME", "all", "Of each stage: all, last."),
    ("--budget", "SECONDS", "100", "Most time in the timed rounds of one configuration."),
    ("--threads", None, "torch's choice", None),
    ("--seed", None, "0", "Of weights, input and order."),
    (
        "--out",
        "DIR",
        "a new one under reports/",
        "Output folder. An unfinished run in it is resumed.",
    ),
]


def test_the_options_of_run_letter_by_letter() -> None:
    command = typer.main.get_command(app).commands["run"]
    shown = [
        (option.opts[0], option.metavar, option.show_default, option.help)
        for option in command.params
        if option.name != "help"
    ]
    assert shown == OPTIONS
    assert all(len(option.opts) == 1 and not option.secondary_opts for option in command.params)


PLAN = Plan(variants=("plain", "control", "sa"), budget_s=10.0, target=0.01)
WHOLE_S = 10 + 2 * (STEP_S["counts"] + STEP_S["memory"]) + 3 * STEP_S["warm-up"]


@pytest.fixture
def new_run(case):
    return lambda **changes: Run(replace(case, **changes), PLAN, {})


def record(run, results):
    return Record(case=run.case, results=results, environment={})


def round_of(number, seconds):
    return Round(number=number, blocks=(Block(variant="plain", steps=1, seconds=seconds),))


def positions(bar, events):
    """Where the bar stands after each event, and what it says."""
    task, seen = bar._progress.tasks[0], []
    with bar:
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
    counted, timed = record(run, Counts(rules={})), record(run, round_of(0, 2.5))
    end = record(run, End(reason="target", rounds=1))
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
    end = record(first, End(reason="target", rounds=0))
    seen = positions(bar, [(first, end), (second, Beginning("memory", "sa"))])
    assert seen == [(WHOLE_S, "done"), (WHOLE_S + STEP_S["memory"], "2 of 2: memory sa")]


def test_what_an_earlier_call_did_is_done(new_run, new_bar):
    run, finished = new_run(), new_run(batch_size=1)
    run.add(record(run, Counts(rules={})))
    run.add(record(run, round_of(0, 2.0)))
    finished.end = End(reason="target", rounds=0)
    bar = new_bar(run, finished)
    seen = positions(bar, [(run, Beginning("round", None))])
    assert seen[0][0] == WHOLE_S + STEP_S["counts"] + 2.0


def test_the_bar_draws_nothing_of_its_own_accord(new_run, new_bar):
    assert not new_bar(new_run())._progress.live.auto_refresh
