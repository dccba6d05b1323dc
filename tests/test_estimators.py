"""benchmarks/estimators.py: what each makes of rounds, and how their scatter is told."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import estimators

from attnbench.records.run import Run
from attnbench.records.schema import Block, Case, Plan, Round

IN_TURN = np.tile([0, 1, 2, 3], (12, 1))
"""The networks of twelve rounds: always in the order of the columns."""

LEVELS = np.array([2.0, 2.0, 2.25, 2.5])
"""Of the plain host, its control and two modules: the ratios are 0.25 and 0.5."""


@pytest.mark.parametrize("name", estimators.ESTIMATORS)
def test_all_name_the_true_ratios_of_a_machine_that_changes_its_speed(name: str) -> None:
    """By half way through, so that most neighbours of a block ran at its own speed."""
    speeds = np.repeat([0.0, 1.0], 6)[:, None]
    known = estimators.ESTIMATORS[name](speeds + LEVELS, IN_TURN)
    assert known == pytest.approx([0.25, 0.5])


@pytest.mark.parametrize(
    ("name", "ratio"),
    [
        # To one copy 3, 2 and 1; to the other one 2, -1 and 1. All: -1, 1, 1, 2, 2, 3.
        ("one copy", 2.0),
        ("both copies", 1.5),
        # The means of the copies lie 0.5, 1.5 and 0 above the first: 2.5, 0.5 and 1.
        ("mean of copies", 1.0),
        # Rounds 1 and 2: 3 + 2, 3 - 1, 2 + 2, 2 - 1. 1 and 3: 4, 4, 3, 3. 2 and 3: 3, 3, 0, 0.
        # Ordered 0, 0, 1, 2, 3, 3, 3, 3, 4, 4, 4, 5: the median is 3, and half of it 1.5.
        ("Hodges-Lehmann", 1.5),
    ],
)
def test_ratios_of_three_rounds_by_hand(name: str, ratio: float) -> None:
    times = np.array([[0.0, 1.0, 3.0], [0.0, 3.0, 2.0], [0.0, 0.0, 1.0]])
    assert estimators.ESTIMATORS[name](times, np.tile([0, 1, 2], (3, 1))) == pytest.approx([ratio])


def test_scatter_is_the_root_of_the_mean_of_the_modules_variances() -> None:
    """Two stretches. The first estimator's variances are 1 and 1, the second's 0 and 0.25."""
    ratios = np.array([[[0.0, 0.0], [5.0, 0.0]], [[2.0, 2.0], [5.0, 1.0]]])
    assert estimators.scatter(ratios) == pytest.approx([1.0, 0.125**0.5])
    # It lies above the first by 5, 0, 3 and -1.
    assert estimators.offsets(ratios) == pytest.approx([0.0, 1.75])


def test_rounds_are_read_by_process_and_only_whole_ones(case: Case) -> None:
    names = ("plain", "control", "sa")
    run = Run(case, Plan(variants=names, budget_s=9.0, target=0.01), {})
    step_s = {"sa": 4.0, "plain": 1.0, "control": 2.0}
    for number in range(5):
        ran = {n: s for n, s in step_s.items() if number != 1 or n != "sa"}
        blocks = tuple(Block(variant=n, steps=2, seconds=2 * s) for n, s in ran.items())
        run.rounds.append(Round(number=number, process=number // 3, blocks=blocks))
    known = estimators.processes_of(run)
    assert {process: len(times) for process, (times, _) in known.items()} == {0: 2, 1: 2}
    times, order = known[0]
    assert np.exp(times[0]) == pytest.approx([1.0, 2.0, 4.0])
    assert order[0].tolist() == [2, 0, 1]


def test_stretches_that_no_process_has_are_refused() -> None:
    with pytest.raises(SystemExit, match="no process has 40000 rounds"):
        estimators.show(estimators.published(), 10_000)


def test_published_processes_have_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    estimators.show([estimators.ROOT / "reports" / "2026-11-25-cpu-resnet50"], 30)
    shown = capsys.readouterr().out.splitlines()
    assert shown[1].startswith("reports/2026-11-25-cpu-resnet50, 0")
    assert [line.split()[0] for line in shown[2:]] == ["all", "of", "from"]
