import shlex
from dataclasses import asdict, replace

import pytest

from attnbench.cli import app
from attnbench.errors import UserError
from attnbench.measuring import planning
from attnbench.measuring.options.cases import cases_of
from attnbench.measuring.options.values import cleaned
from attnbench.records.case import RunOptions
from attnbench.records.run import Run
from attnbench.records.schema import Case, Plan
from attnbench.records.variants import alone
from attnbench.report.formats.reproduce import command, environment


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"mode": "training", "batch_size": 8, "image_size": 96, "dtype": "bfloat16"},
        {"channels_last": True, "runtime": "compile", "threads": 3, "seed": 11},
        {"isolated": True, "host": "resnet101"},
        {"stages": (2, 4), "blocks": "last"},
        {"host": "maskrcnn_resnet50_fpn", "image_size": (800, 1333)},
        {"host": "mobilenet_v3_large", "at": "features.*@InvertedResidual,!features.1"},
        {"host": "mobilenet_v3_large", "replace": "squeeze-excite"},
    ],
)
def test_the_command_asks_for_the_very_configuration(run: Run, settings, monkeypatch) -> None:
    wanted: list[RunOptions] = []

    def prepare(asked, _):
        wanted.append(asked)
        raise UserError("far enough")

    monkeypatch.setattr(planning, "prepare", prepare)
    case = replace(run.case, **settings)
    plan = replace(run.plan, variants=alone(run.modules)) if case.isolated else run.plan
    again = replace(run, case=case, plan=plan)
    program, *words = shlex.split(command(again))
    assert program == "attnbench"
    with pytest.raises(SystemExit):
        app.main(words)
    (asked,) = wanted
    (found,) = cases_of(planning.filled(cleaned(asked)))
    assert asdict(found) == asdict(case)
    assert asked.modules == again.modules
    assert asked.budget_s == run.plan.budget_s
    assert asked.energy is None


def test_the_command_asks_for_the_rounds_of_energy(run: Run) -> None:
    assert "--energy" not in command(run)
    again = replace(run, plan=replace(run.plan, energy_rounds=8))
    assert "--processes 1 --energy 8 " in command(again)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (
            {"image_size": 224, "threads": 2, "seed": 0},
            "attnbench run --modules sa --host resnet50 --device cpu --batch-size 2 "
            "--image-size 224 --dtype float32 --mode inference --runtime eager --stages 1,2,3,4 "
            "--blocks all --budget 10 --processes 1 --threads 2 --seed 0",
        ),
        (
            {
                "host": "maskrcnn_resnet50_fpn",
                "device": "cuda",
                "image_size": (800, 1333),
                "dtype": "bfloat16",
                "mode": "training",
                "stages": (2, 4),
                "blocks": "last",
                "channels_last": True,
                "runtime": "compile+cuda-graph",
                "isolated": True,
            },
            "attnbench run --modules sa --host maskrcnn_resnet50_fpn --device cuda "
            "--batch-size 2 --image-size 800x1333 --dtype bfloat16 --mode training "
            "--runtime compile+cuda-graph --stages 2,4 --blocks last --budget 0.25 --processes 1 "
            "--threads 1 --seed 3 --channels-last --isolated",
        ),
    ],
)
def test_the_command_letter_by_letter(case: Case, settings: dict, text: str) -> None:
    case = replace(case, **settings)
    variants = alone(("sa",)) if case.isolated else ("plain", "control", "sa")
    budget_s = 0.25 if case.isolated else 10.0
    plan = Plan(variants=variants, budget_s=budget_s, target=0.01)
    assert command(Run(case, plan, {})) == text


def test_a_name_that_a_shell_would_read_is_quoted(run: Run) -> None:
    plan = replace(run.plan, variants=("plain", "control", "a b;rm"))
    assert "--modules 'a b;rm'" in command(replace(run, plan=plan))


def test_modules_of_ones_own_are_asked_for_one_by_one(run: Run) -> None:
    variants = ("plain", "control", "sa", "my gates.py:Mine,k=(3, 5)", "gate", "timm:eca")
    words = shlex.split(command(replace(run, plan=replace(run.plan, variants=variants))))
    assert words[2:8] == [
        *("--modules", "sa,gate"),
        *("--module", "my gates.py:Mine,k=(3, 5)"),
        *("--module", "timm:eca"),
    ]


def test_only_known_facts_of_the_machine_are_listed(run: Run) -> None:
    assert ("cpu", "An imagined CPU") in environment(run)
    assert all(value != "None" for _, value in environment(run))
