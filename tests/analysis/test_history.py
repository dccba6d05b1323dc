import shutil
from dataclasses import replace
from math import exp, hypot, log

import pytest
from helpers.changes import ends
from helpers.stored_runs import ENVIRONMENT

from attnbench.analysis.history import history
from attnbench.errors import UserError
from attnbench.records import store
from attnbench.records.schema import Plan, Record
from attnbench.records.variants import alone

DAY = "2026-01-{:02}T12:00:00+00:00".format


@pytest.fixture
def days(stored, tmp_path):
    """Store a run a day, with those ratios of SA; each as steady as SIX alike rounds."""

    def store(*ratios, **others):
        for day, ratio in enumerate(ratios, start=1):
            facts = {"time": DAY(day), **others.get("facts", {}).get(day, {})}
            known = {key: value for key, value in others.items() if key != "facts"}
            stored(f"runs/day{day}", sa=ratio, facts=facts, **known)
        return tmp_path / "runs"

    return store


def series_of(folder, **options):
    (series,) = history([folder], **options).series
    return series


def test_runs_are_in_the_order_of_time_and_none_is_there_twice(days):
    folder = days(1.2, 1.2, 1.2)
    runs = history([folder / "day3", folder, folder / "day1"])
    (series,) = runs.series
    assert [point.run for point in series.points] == ["day1", "day2", "day3"]
    verdicts = [point.verdict for point in series.points]
    assert verdicts == ["first", *["no significant difference"] * 2]
    assert series.changes == ()


def test_a_copy_of_a_run_is_no_second_one(days, tmp_path):
    folder = days(1.2, 1.2)
    shutil.copytree(folder / "day1", tmp_path / "copy" / "day1")
    known = history([folder, tmp_path / "copy"])
    (series,) = known.series
    assert [point.run for point in series.points] == ["day1", "day2"]
    assert known.remarks == ("a second copy of the run in day1 is left out",)


def test_a_jump_is_found_once_and_begins_a_new_level(days):
    series = series_of(days(1.20, 1.20, 1.26, 1.26, 1.20), scatter=0.0)
    assert [point.verdict for point in series.points] == [
        "first",
        "no significant difference",
        "slower",
        "no significant difference",
        "faster",
    ]
    assert [point.run for point in series.changes] == ["day3", "day5"]
    assert ends(series.points[2].change) == pytest.approx((1.05, 1.05, 1.05))


def test_a_slow_drift_is_found_by_the_mean_of_the_level(days):
    # Each step of 1% is within the 2.7% that one pair of runs may differ by, their sum is not.
    series = series_of(days(1.20, 1.21, 1.22, 1.24, 1.26, 1.28), scatter=0.01)
    assert [point.verdict for point in series.points][:2] == ["first", "no significant difference"]
    assert len(series.changes) == 1


def test_the_interval_of_a_run_has_the_variation_between_runs(days):
    first, second = series_of(days(1.2, 1.2), scatter=0.01).points
    width = 2.4469 * 0.01  # Student's t with the six degrees of freedom of the assumption
    expected = (1.2, 1.2 * exp(-width), 1.2 * exp(width))
    assert ends(first.known) == pytest.approx(expected, rel=1e-4)
    assert log(second.change.high) == pytest.approx(hypot(width, width), rel=1e-3)


def test_what_changed_with_a_run_stands_beside_it(days):
    facts = {2: {"torch": "2.7"}, 3: {"torch": "2.7", "attnbench": "0.3.0"}}
    points = series_of(days(1.2, 1.2, 1.2, facts=facts)).points
    assert [point.differs for point in points] == [
        (),
        ("torch 2.7, was 2.6",),
        ("attnbench 0.3.0, was 0.2.0",),
    ]


def test_the_code_of_a_custom_module_is_named_where_it_changed(stored, tmp_path):
    for day, digest in ((1, "a" * 64), (2, "b" * 64)):
        stored(
            f"runs/{day}",
            facts={"time": DAY(day)},
            sources={"mine.py:Mine": f"sha256 {digest}"},
            **{"mine.py:Mine": 1.1},
        )
    first, second = series_of(tmp_path / "runs").points
    assert (first.source, second.source) == ("a" * 12, "b" * 12)
    assert second.differs == (f"code {'b' * 12}, was {'a' * 12}",)


def test_machines_and_configurations_have_series_of_their_own(stored, tmp_path):
    stored("runs/a", sa=1.2)
    stored("runs/b", sa=1.3, facts={"cpu": "B"})
    stored("runs/c", sa=1.4, settings={"batch_size": 4})
    stored("runs/d", sa=1.2, settings={"seed": 5})
    known = history([tmp_path / "runs"]).series
    lengths = [(series.machine, len(series.points)) for series in known]
    assert lengths == [("A", 2), ("B", 1), ("A", 1)]


def test_machines_of_one_name_are_told_apart_by_the_facts_that_differ(stored, tmp_path):
    for name, facts in {
        "a": {"cpu": "EPYC", "cpu_id": "model 1"},
        "b": {"cpu": "EPYC", "cpu_id": "model 17"},
        "c": {"cpu": "EPYC", "cpu_id": "model 17", "cores": 4},
    }.items():
        stored(f"runs/{name}", sa=1.2, facts=facts)
    known = history([tmp_path / "runs"])
    assert sorted(series.machine for series in known.series) == [
        "EPYC, cores 2, cpu_id model 1",
        "EPYC, cores 2, cpu_id model 17",
        "EPYC, cores 4",
    ]
    assert known.remarks == ()


def test_a_run_from_before_a_fact_was_recorded_is_of_the_same_machine(stored, tmp_path):
    """With a remark where the name is that of a family; of two machines it could be either's."""
    stored("runs/old", sa=1.2, facts={"cpu": "EPYC", "cpu_id": None, "time": DAY(1)})
    stored("runs/new", sa=1.2, facts={"cpu": "EPYC", "cpu_id": "model 17", "time": DAY(2)})
    known = history([tmp_path / "runs"])
    assert [(series.machine, len(series.points)) for series in known.series] == [("EPYC", 2)]
    assert known.remarks == (
        "cannot tell whether it is the same machine: the records name only the CPU's family, EPYC",
    )
    stored("runs/third", sa=1.2, facts={"cpu": "EPYC", "cpu_id": "model 1", "time": DAY(3)})
    assert [
        (series.machine, len(series.points)) for series in history([tmp_path / "runs"]).series
    ] == [
        ("EPYC, cpu_id –", 1),
        ("EPYC, cpu_id model 17", 1),
        ("EPYC, cpu_id model 1", 1),
    ]


def test_a_run_whose_control_failed_has_no_verdict_and_is_no_level(days, stored, tmp_path):
    days(1.2)
    stored("runs/day2", sa=1.5, control=1.1, facts={"time": DAY(2)})
    stored("runs/day3", sa=1.2, facts={"time": DAY(3)})
    points = series_of(tmp_path / "runs").points
    assert [point.verdict for point in points] == [
        "first",
        "no verdict",
        "no significant difference",
    ]
    assert points[1].change is None


def test_isolated_runs_and_missing_folders_are_said(stored, tmp_path, case):
    stored("runs/a", sa=1.2)
    plan = Plan(variants=alone(("sa",)), budget_s=10.0, target=0.01)
    record = Record(case=replace(case, isolated=True), results=plan, environment=ENVIRONMENT)
    store.append(tmp_path / "runs" / "alone", record)
    assert history([tmp_path / "runs"]).remarks == ("alone is left out: its modules ran alone",)
    with pytest.raises(UserError, match="hold modules alone"):
        history([tmp_path / "runs" / "alone"])
    with pytest.raises(UserError, match="cannot read"):
        history([tmp_path / "none"])
