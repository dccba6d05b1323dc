"""benchmarks/estimators.py: what each makes of rounds, and how their scatter is told."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import estimators

from attnbench.records.run import Run, read
from attnbench.records.schema import Block, Case, Plan, Round
from attnbench.stats import ratios

IN_TURN = np.tile([0, 1, 2, 3], (12, 1))
"""The networks of twelve rounds: always in the order of the columns."""

LEVELS = np.array([2.0, 2.0, 2.25, 2.5])
"""Of the plain host, its control and two modules: the ratios are 0.25 and 0.5."""


@pytest.mark.parametrize("name", estimators.ESTIMATORS)
def test_all_name_the_true_ratios_of_a_machine_that_changes_its_speed(name: str) -> None:
    """By half way through, so that most neighbours of a block ran at its own speed."""
    speeds = np.repeat([0.0, 1.0], 6)[:, None]
    known = estimators.ESTIMATORS[name](speeds + LEVELS, IN_TURN)
    # The last networks of a round are nearer to the change, which least squares spread over it.
    assert known == pytest.approx([0.25, 0.5], abs=0.03 if name == "by drift" else 1e-9)


@pytest.mark.parametrize(
    ("name", "ratio"),
    [
        # To one copy 3, 2 and 1; to the other one 2, -1 and 5. All: -1, 1, 2, 2, 3, 5.
        ("one copy", 2.0),
        ("both copies", 2.0),
        # The means of the copies lie 0.5, 1.5 and -2 above the first: 2.5, 0.5 and 3.
        ("mean of copies", 2.5),
        # Rounds 1 and 2: 3 + 2, 3 - 1, 2 + 2, 2 - 1. 1 and 3: 3 + 1, 3 + 5, 2 + 1, 2 + 5.
        # 2 and 3: 2 + 1, 2 + 5, -1 + 1, -1 + 5. In order 0, 1, 2, 3, 3, 4, 4, 4, 5, 7, 7, 8: the
        # median is 4, and half of it 2.
        ("Hodges-Lehmann", 2.0),
        # Networks by their medians 0, 1, 2. Less these, the rounds are (0, 0, 1), (0, 2, 0) and
        # (0, -5, -1): speeds 0, 0 and -1. Left are (0, 1, 3), (0, 3, 2) and (1, -3, 2): networks
        # 0, 1 and 2, as before. Both copies' median of -3, 0, 0, 1, 1, 3 is 0.5.
        ("polished", 1.5),
        # A tenth from the first to the last of 1, 2 and 3 lies 1.2; of the copies' -4, 0, 0, 0, 1
        # and 3 it is half way from -4 to 0.
        ("lowest tenth", 3.2),
    ],
)
def test_ratios_of_three_rounds_by_hand(name: str, ratio: float) -> None:
    times = np.array([[0.0, 1.0, 3.0], [0.0, 3.0, 2.0], [0.0, -4.0, 1.0]])
    assert estimators.ESTIMATORS[name](times, np.tile([0, 1, 2], (3, 1))) == pytest.approx([ratio])


def test_two_rounds_that_are_far_off_move_the_mean_of_pairs_and_not_the_median() -> None:
    """Of 0, 0, 0, 6, 6 the median is 0. Of the ten pairs three are 0, six are 6 and one is 12."""
    times = np.zeros((5, 3))
    times[3:, 2] = 6.0
    order = np.tile([0, 1, 2], (5, 1))
    assert estimators.both_copies(times, order) == pytest.approx([0.0])
    assert estimators.hodges_lehmann(times, order) == pytest.approx([3.0])


def test_a_network_that_slow_rounds_hit_alone_is_judged_by_all_of_a_round() -> None:
    """Three of four rounds are slow by 1, 2 and 3 but for the plain host, whose pairs all move."""
    times = np.add.outer([0.0, 1.0, 2.0, 3.0], [0.0, 0.0, 0.5, 0.5, 0.5])
    times[:, 0] = 0.0
    order = np.tile(np.arange(5), (4, 1))
    assert estimators.one_copy(times, order) == pytest.approx([2.0] * 3)
    # Left of the plain host are 0, -1, -2 and -3, of its copy none: together their median is 0.
    assert estimators.polished(times, order) == pytest.approx([0.5] * 3)


def test_neighbours_are_those_in_time() -> None:
    """The machine grows slower with each block; in half of the rounds all run in reverse."""
    order = np.tile([[0, 1, 2, 3], [3, 2, 1, 0]], (10, 1))
    times = np.empty((20, 4))
    at = np.arange(80.0).reshape(20, 4)
    np.put_along_axis(times, order, at, axis=1)
    known = estimators.by_neighbours(times + LEVELS, order)
    assert known == pytest.approx([0.25, 0.5], abs=0.05)
    assert estimators.by_neighbours(times + LEVELS, IN_TURN[:1].repeat(20, 0)) != pytest.approx(
        [0.25, 0.5], abs=0.05
    )


def test_without_drift_least_squares_are_means_of_what_is_not_far_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both copies at 0 and 2 in turn, the module at 2 and 4: 1 and 3, and ratios of 2.

    A step at 30 in the place of a 4 counts as one that is a little above: at 1.5 * 1.4826 = 2.2
    from the module's mean, where all others are 1 from theirs.
    """
    monkeypatch.setattr(estimators, "DRIFT", {})
    times = np.array([[0.0, 0.0, 2.0], [2.0, 2.0, 4.0]] * 10)
    order = np.tile([0, 1, 2], (20, 1))
    assert estimators.by_drift(times, order) == pytest.approx([2.0])
    times[3, 2] = 30.0
    # The mean m of ten 2, nine 4 and one m + 2.22, after eight sweeps: 20 m = 56 + m + 2.22.
    assert estimators.by_drift(times, order) == pytest.approx([58.22 / 19 - 1], abs=1e-3)


def test_drift_that_lasts_as_assumed_is_taken_from_the_steps() -> None:
    """On a hundred such machines both copies take 0.69 of one copy's rounds, and this 0.47."""
    rng = np.random.default_rng(0)
    steps, networks = 30 * 9, 9
    lags = np.abs(np.subtract.outer(np.arange(steps), np.arange(steps)))
    drift = sum(share * np.exp(-lags / lasts) for lasts, share in estimators.DRIFT.items())
    root = np.linalg.cholesky(drift + (1 - sum(estimators.DRIFT.values())) * np.eye(steps))
    known = []
    for _ in range(100):
        order = np.array([rng.permutation(networks) for _ in range(30)])
        times = np.empty((30, networks))
        noise = (root @ rng.standard_normal(steps)).reshape(30, networks)
        np.put_along_axis(times, order, noise, axis=1)
        taken = estimators.one_copy, estimators.both_copies, estimators.by_drift
        known.append([name_ratios(times, order) for name_ratios in taken])
    one, both, by_drift = estimators.scatter(np.array(known)) ** 2
    assert (one, both, by_drift) == pytest.approx((1.0, 0.69, 0.47), abs=0.01)


@pytest.mark.parametrize("lag", [1, 2, 5, 9, 18, 50])
def test_the_assumed_drift_is_about_that_of_published_steps(lag: int) -> None:
    folder = estimators.ROOT / "reports" / "2026-11-27-cpu-resnet50-time-to-known"
    found = []
    for path in folder.glob("old-*"):
        ((times, order),) = estimators.processes_of(read(path)).values()
        off = np.take_along_axis(times - np.median(times, axis=0), order, axis=1).ravel()
        found.append(np.corrcoef(off[:-lag], off[lag:])[0, 1])
    assert len(found) == 17
    assumed = sum(share * np.exp(-lag / lasts) for lasts, share in estimators.DRIFT.items())
    assert np.mean(found) == pytest.approx(assumed, abs=0.08)


def test_scatter_is_the_root_of_the_mean_of_the_modules_variances() -> None:
    """Two stretches. The first estimator's variances are 4 and 4, the second's 0 and 0.5**2."""
    known = np.array([[[0.0, 0.0], [5.0, 0.0]], [[4.0, 4.0], [5.0, 1.0]]])
    assert estimators.scatter(known) == pytest.approx([1.0, 0.125**0.5 / 2])
    # It lies above the first by 5, 0, 1 and -3.
    assert estimators.offsets(known) == pytest.approx([0.0, 0.75])


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


def test_the_second_is_what_the_suite_takes() -> None:
    folder = estimators.ROOT / "reports" / "2026-11-25-cpu-resnet50"
    run = read(folder)
    times, order = estimators.processes_of(run)[0]
    taken = [ratios.parts(run.rounds, name).interval.median for name in run.plan.variants[2:]]
    assert estimators.both_copies(times, order) == pytest.approx(taken)


def test_stretches_that_no_process_has_are_refused() -> None:
    with pytest.raises(SystemExit, match="no process has 40000 rounds"):
        estimators.show(estimators.published(), 10_000)


def test_published_processes_have_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    estimators.show([estimators.ROOT / "reports" / "2026-11-25-cpu-resnet50"], 30)
    shown = capsys.readouterr().out.splitlines()
    assert shown[1].startswith("reports/2026-11-25-cpu-resnet50, 0")
    assert [line.split()[0] for line in shown[2:]] == ["all", "of", "from"]
