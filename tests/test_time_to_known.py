"""benchmarks/time_to_known.py: when all modules count as known, and what either rule takes."""

import shutil
import sys
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import calibration
import time_to_known

from attnbench.records.run import Run
from attnbench.records.schema import Block, Case, Plan, Round

STEADY = [[0.0] * len(time_to_known.TRUTHS)] * calibration.STRETCH
"""The noise of rounds that are all alike."""


def rounds_of(levels: tuple[float, ...], modules: tuple[str, ...]) -> list[Round]:
    """Return ten rounds of each process, in which these modules take 1 + level seconds."""
    return [
        Round(
            number=number,
            process=number // 10,
            blocks=tuple(
                Block(variant=v, steps=1, seconds=1.0 + levels[number // 10] * (v in modules))
                for v in time_to_known.TRUTHS
            ),
        )
        for number in range(10 * len(levels))
    ]


def test_a_module_is_known_by_what_processes_leave_open() -> None:
    """Three processes at +0, +1 and +2% by logarithms: Student's 4.30 * 1% / sqrt(3) is 2.484%.

    Around 1.01 that is 2.51% of the plain host.
    """
    rounds = rounds_of((0.0, 0.01005, 0.0202), time_to_known.MODULES[:1])
    for copies in (1, 2):
        assert time_to_known.known(rounds, 0.0253, copies=copies)
        assert not time_to_known.known(rounds, 0.0249, copies=copies)


def test_what_is_known_is_the_ratio_and_not_its_logarithm() -> None:
    """At 2.00, 2.02 and 2.04 the logarithms lie as far apart, and the ratios twice as far: 5.0%."""
    rounds = rounds_of((1.0, 1.0201, 1.0404), time_to_known.MODULES[:1])
    half_width = time_to_known.half_width(rounds, time_to_known.MODULES[0], copies=2)
    assert half_width == pytest.approx(2.0201 * 0.02484, rel=1e-2)


def test_two_processes_know_nothing_of_what_differs_between_them() -> None:
    assert not time_to_known.known(rounds_of((0.0, 0.0), ()), 1.0, copies=2)


def test_nothing_is_known_of_a_module_that_never_ran() -> None:
    assert time_to_known.half_width(rounds_of((0.0,) * 3, ()), "failed", copies=1) == float("inf")


def test_steady_machines_take_the_fewest_processes_of_either_rule() -> None:
    """Old: three runs of 30 rounds. New: six processes, known at the first look: three whole."""
    settings = {"process": 0.0}
    old = time_to_known.old(calibration.machine_of(settings, 0, STEADY), 0.01)
    assert [len([r for r in old if r.process == p]) for p in range(4)] == [30, 30, 30, 0]
    new = time_to_known.new(calibration.machine_of(settings, 0, STEADY), 0.01)
    assert len(new) == 30
    assert new[-1].process >= 2


NAMES = ("plain", "control", "sa")


def run_of(case: Case, sa_s: float, wide: int, minutes: float) -> Run:
    """Return a run of 60 rounds of three seconds in one process, the first ones far from alike."""
    begun = datetime(2026, 11, 26)
    run = Run(case, Plan(variants=NAMES, budget_s=180.0, target=0.01), {})
    run.started = begun.isoformat()
    for number in range(60):
        ended = begun + timedelta(minutes=minutes) - timedelta(seconds=3 * (59 - number))
        run.moments.append({"time": ended.isoformat()})
        far = (0.9, 1.1)[number % 2] if number < wide else 1.0
        step_s = {"plain": 1.0, "control": far, "sa": sa_s}
        blocks = tuple(Block(variant=n, steps=1, seconds=s) for n, s in step_s.items())
        run.rounds.append(Round(number=number, blocks=blocks))
    return run


def test_real_runs_of_the_old_rule_end_by_it_and_are_taken_as_processes(case: Case) -> None:
    """Of 30 rounds the control's interval holds the twenty that differ; of 40 it does not.

    The second run is known at once: 70 rounds in all. Of 60 rounds in five minutes, 20 and 30 came
    after their ends: 300 - 20 * 3 and 300 - 30 * 3 seconds are left.
    """
    runs = [run_of(case, 1.0, wide, minutes=5) for wide in (20, 0)]
    ends = [time_to_known.ended_at(run) for run in runs]
    assert ends == [40, 30]
    first, both = time_to_known.together(runs, ends)
    assert [len(first.rounds), len(both.rounds)] == [40, 70]
    assert [timed.process for timed in both.rounds] == [0] * 40 + [1] * 30
    assert both.timed_s == pytest.approx(70 * 3)
    assert first.in_all_s == 300 - 20 * 3
    assert both.in_all_s == (300 - 20 * 3) + (300 - 30 * 3)


def test_a_run_that_its_rule_never_ends_is_taken_whole(case: Case) -> None:
    assert time_to_known.ended_at(run_of(case, 1.0, wide=60, minutes=5)) == 60


def test_real_runs_are_known_with_the_first_that_suffices(case: Case) -> None:
    """Runs at +0, +0 and +0% are known by three; at +0, +1 and +2% ±2.5% are left after three."""
    alike = [run_of(case, 1.0, 0, 5.0) for _ in range(4)]
    series = [*time_to_known.together(alike, [30] * 4)]
    assert time_to_known.shown(series, 0.01, NAMES[1:], copies=1).split() == [
        *("3", "90", "270", str(3 * (300 - 90)), "all")
    ]
    apart = [run_of(case, sa_s, 0, 5.0) for sa_s in (1.0, 1.01, 1.0202)]
    series = [*time_to_known.together(apart, [30] * 3)]
    assert time_to_known.shown(series, 0.01, NAMES[1:], copies=1).endswith("  sa ±2.5%")


def test_runs_are_taken_in_other_orders_too(case: Case) -> None:
    """Runs that are alike are known by any three. Of the other four, one is far from the rest."""
    alike = [run_of(case, 1.0, 0, 5.0) for _ in range(4)]
    found = time_to_known.in_other_orders(alike, [30] * 4, 0.01, NAMES[1:])
    assert time_to_known.shown_orders(found).split() == [
        *("3.0", "270", str(3 * (300 - 90)), "all", "in", "20", "of", "20")
    ]
    levels = (1.002, 1.0, 1.0, 1.0)
    apart = [run_of(case, sa_s, 0, 5.0) for sa_s in levels]
    # Student's 3.18 * 0.1% / sqrt(4) is 0.16%; of three, one of them far off, 4.30 * 0.115% /
    # sqrt(3) is 0.29%. So those orders need four in which that one is not the last.
    found = time_to_known.in_other_orders(apart, [30] * 4, 0.002, NAMES[1:])
    by_three = sum(series.rounds[-1].process == 2 for series in found)
    assert len(found) == 20
    assert by_three == sum(Random(seed).sample(range(4), 4)[3] == 0 for seed in range(20)) > 0
    none = time_to_known.in_other_orders(apart[:3], [30] * 3, 0.001, NAMES[1:])
    assert time_to_known.shown_orders(none).strip() == "all in none of 20"


def test_new_over_old_is_by_medians_with_the_extremes(case: Case) -> None:
    """New 60 and 90 s of 120 and 150 in all; old 90, 120 and 180 of 150, 300 and 600."""
    rounds = run_of(case, 1.0, 0, 5.0).rounds  # of three seconds
    new = [time_to_known.Series(rounds[:n], s) for n, s in ((20, 120.0), (30, 150.0))]
    old = [time_to_known.Series(rounds[:n], s) for n, s in ((30, 150.0), (40, 300.0), (60, 600.0))]
    assert time_to_known.shares(new, old) == (
        "0.62 of the timed seconds (0.33 to 1.00); 0.45 of all seconds (0.20 to 1.00)"
    )


def test_published_runs_are_read_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(__file__).parents[1] / "reports" / "2026-11-26-cpu-resnet50-time-to-target"
    time_to_known.show_records(folder, 0.2)
    shown = capsys.readouterr().out.splitlines()
    assert [line[:22].strip() for line in shown[1:]] == [
        *("old", "in other orders", "old, ended early", "in other orders"),
        *("six-processes-1", "six-processes-2", "six-processes-3", "new that know all (3 o"),
    ]
    assert [line.rpartition("  ")[2] for line in shown[1:-1]] == [
        *("all", "all in 20 of 20", "all", "all in 20 of 20", "all", "all", "all")
    ]
    assert shown[-1].startswith("new that know all (3 of 3) over old in other orders: ")


def test_runs_of_several_configurations_are_refused(tmp_path: Path) -> None:
    reports = Path(__file__).parents[1] / "reports"
    shutil.copytree(
        reports / "2026-11-26-cpu-resnet50-time-to-target" / "old-1", tmp_path / "old-1"
    )
    several = tmp_path / "several"  # of any name
    shutil.copytree(reports / "2026-11-26-cpu-resnet50", several)
    time_to_known.show_records(tmp_path, 0.2)
    records = several / "records.jsonl"
    records.write_text(records.read_text().replace('"threads":2', '"threads":1', 1))
    with pytest.raises(SystemExit, match="several configurations"):
        time_to_known.show_records(tmp_path, 0.2)


def test_a_folder_without_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="lacks runs of the rule old or of several processes"):
        time_to_known.show_records(tmp_path, 0.01)
