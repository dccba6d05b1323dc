import json
import math
from dataclasses import replace

import pytest

from attnbench.analysis.compare import compare
from attnbench.cli.compare import HEADINGS, as_github, as_json, cells, tables
from attnbench.errors import UserError
from attnbench.records import store
from attnbench.records.schema import Block, Plan, Record, Round
from attnbench.records.variants import alone
from attnbench.stats import between_runs
from attnbench.stats.interval import Interval

ENVIRONMENT = {
    "cpu": "A",
    "cores": 2,
    "python": "3.11.7",
    "torch": "2.6",
    "attnbench": "0.2.0",
    "time": "12:00",
    "load_average": 0.5,
}
LIMIT = 0.03


@pytest.fixture(autouse=True)
def steady_runs(monkeypatch):
    """No scatter between runs, so that the arithmetic of the rounds can be seen."""
    monkeypatch.setattr(between_runs, "ASSUMED", 0.0)


@pytest.fixture
def scattered_runs(monkeypatch):
    """The scatter between runs that is assumed, as a round number."""
    monkeypatch.setattr(between_runs, "ASSUMED", 0.01)


@pytest.fixture
def stored(tmp_path, case):
    """Makes the folder of a run: of each variant its ratio to the plain host, round by round.

    A single number stands for six rounds, the fewest that give an interval.
    """

    def store_run(name, *, plain_s=0.1, control=1.0, facts=(), settings=(), **ratios):
        folder = tmp_path / name
        by_round = {
            variant: [given] * 6 if isinstance(given, float) else given
            for variant, given in {"plain": 1.0, "control": control, **ratios}.items()
        }
        its_case, environment = replace(case, **dict(settings)), ENVIRONMENT | dict(facts)
        plan = Plan(variants=tuple(by_round), budget_s=10.0, target=0.01)
        results = [plan]
        for number in range(max(map(len, by_round.values()))):
            blocks = tuple(
                Block(variant=variant, steps=1, seconds=plain_s * values[number])
                for variant, values in by_round.items()
                if number < len(values)
            )
            results.append(Round(number=number, blocks=blocks))
        for each in results:
            store.append(folder, Record(case=its_case, results=each, environment=environment))
        return folder

    return store_run


def ends(interval):
    return (interval.median, interval.low, interval.high)


def the_only(changes):
    (found,) = changes
    return found


def test_a_run_against_itself_changes_nothing(stored):
    folder = stored("run", sa=[1.19, 1.2, 1.21] * 10, se=1.1)
    sa, se = compare(folder, folder, 0.0).changes
    assert sa.change.median == 1
    assert sa.change.low < 1 < sa.change.high
    assert ends(se.change) == pytest.approx((1, 1, 1))  # its rounds are all alike
    assert [each.verdict for each in (sa, se)] == ["no significant difference"] * 2
    assert not sa.fails
    assert not se.fails
    assert sa.caveats == ()


def test_a_slowdown_of_one_module_fails_beyond_the_limit_and_not_within_it(stored):
    old = stored("old", sa=1.2, se=1.1)
    new = stored("new", sa=1.26, se=1.1)  # 1.26 / 1.2 = 1.05
    sa, se = compare(old, new, LIMIT).changes
    assert (sa.module, se.module) == ("sa", "se")
    assert ends(sa.old) == pytest.approx((1.2, 1.2, 1.2))
    assert ends(sa.new) == pytest.approx((1.26, 1.26, 1.26))
    assert ends(sa.change) == pytest.approx((1.05, 1.05, 1.05))
    assert sa.fails
    assert sa.verdict == "slower by more than 3.0%"
    assert not se.fails

    sa, se = compare(old, new, 0.10).changes
    assert not sa.fails
    assert sa.verdict == "slower"


def test_a_module_that_became_faster_does_not_fail(stored):
    found = the_only(compare(stored("old", sa=1.26), stored("new", sa=1.2), 0.0).changes)
    assert found.change.median == pytest.approx(1.2 / 1.26)
    assert (found.verdict, found.fails) == ("faster", False)


def test_a_slowdown_whose_interval_reaches_below_the_limit_does_not_fail(stored):
    # Of six rounds the interval is from the least to the greatest: here from +2% to +8%.
    old = stored("old", sa=1.0)
    new = stored("new", sa=[1.05, 1.02, 1.05, 1.05, 1.08, 1.05])
    found = the_only(compare(old, new, LIMIT).changes)
    assert ends(found.change) == pytest.approx((1.05, 1.02, 1.08))
    assert (found.verdict, found.fails) == ("slower", False)
    assert the_only(compare(old, new, 0.01).changes).fails


def test_a_change_of_speed_of_the_whole_host_is_none(stored):
    old, new = stored("old", plain_s=0.1, sa=1.2), stored("new", plain_s=0.25, sa=1.2)
    found = the_only(compare(old, new, 0.001).changes)
    assert ends(found.change) == pytest.approx((1, 1, 1))
    assert not found.fails


OTHER = {
    "cpu": ({"facts": {"cpu": "B"}}, "cpu is A in the old and B in the new"),
    "torch": ({"facts": {"torch": "2.7"}}, "torch is 2.6 in the old and 2.7 in the new"),
    "a fact only of the new": (
        {"facts": {"gpu": "H"}},
        "gpu is None in the old and H in the new",
    ),
    "batch size": (
        {"settings": {"batch_size": 8}},
        "batch_size is 2 in the old and 8 in the new",
    ),
    "threads": ({"settings": {"threads": 4}}, "threads is 1 in the old and 4 in the new"),
    "compiled": (
        {"settings": {"compiled": True}},
        "compiled is False in the old and True in the new",
    ),
}


@pytest.mark.parametrize(("other", "difference"), OTHER.values(), ids=OTHER)
def test_another_machine_or_setting_is_refused_unless_forced(stored, other, difference):
    old, new = stored("old", sa=1.2, se=1.1), stored("new", sa=1.26, se=1.1, **other)
    with pytest.raises(UserError, match=f"cannot be compared: {difference}. --force compares"):
        compare(old, new, LIMIT)
    forced = compare(old, new, LIMIT, force=True)
    assert [cells(each)[-1] for each in forced.changes] == [difference] * 2
    assert [each.fails for each in forced.changes] == [True, False]  # 1.26 / 1.2 = 1.05


def test_all_differences_are_named(stored):
    old = stored("old", sa=1.2)
    new = stored("new", sa=1.2, facts={"cpu": "B", "torch": "2.7"}, settings={"mode": "training"})
    with pytest.raises(UserError) as refused:
        compare(old, new, LIMIT)
    for key in ("mode is inference", "cpu is A", "torch is 2.6"):
        assert key in str(refused.value)


@pytest.mark.parametrize(
    "other",
    [
        {"settings": {"seed": 99}},
        {"facts": {"attnbench": "9.9"}},
        {"facts": {"time": "13:00", "load_average": 7.0}},
    ],
)
def test_seed_version_and_the_moment_may_differ(stored, other):
    found = the_only(compare(stored("old", sa=1.2), stored("new", sa=1.2, **other), 0.0).changes)
    assert found.caveats == ()
    assert not found.fails


@pytest.mark.parametrize(
    ("control", "fault"),
    [
        (1.01, "the plain host against itself is significantly different from 1"),
        ([1.0] * 5, "fewer than 6 rounds"),
        ([0.9, 1.1] * 3, "the plain host against itself is known no better than ±10.0%"),
    ],
)
@pytest.mark.parametrize("which", ["old", "new"])
def test_a_failed_control_gives_no_verdict_and_never_fails(stored, which, control, fault):
    controls = {"old": 1.0, "new": 1.0} | {which: control}
    old = stored("old", sa=1.0, control=controls["old"])
    new = stored("new", sa=9.0, control=controls["new"])
    found = the_only(compare(old, new, LIMIT).changes)
    assert found.change.median == pytest.approx(9.0)
    assert (found.verdict, found.fails) == ("none", False)
    assert cells(found)[-1] == f"the control of the {which} failed: {fault}"


def test_both_controls_can_fail_beside_a_difference_of_machines(stored):
    old = stored("old", sa=1.0, control=1.01)
    new = stored("new", sa=9.0, control=1.01, facts={"cpu": "B"})
    found = the_only(compare(old, new, LIMIT, force=True).changes)
    assert [caveat.split(" is ")[0] for caveat in found.caveats] == [
        "cpu",
        "the control of the old failed: the plain host against itself",
        "the control of the new failed: the plain host against itself",
    ]
    assert not found.fails


def test_modules_of_one_run_only_are_rows_without_a_verdict(stored):
    old, new = stored("old", sa=1.2, se=1.1), stored("new", eca=1.1, se=1.1)
    found = compare(old, new, LIMIT)
    verdicts = {each.module: each.verdict for each in found.changes}
    alone = "was not timed in both"
    assert verdicts == {"eca": alone, "se": "no significant difference", "sa": alone}
    assert "0 of 3 slower by more than 3.0%; 2 without a verdict" in as_github(found)


def test_runs_without_a_module_in_common_are_bad_input(stored):
    old, new = stored("old", sa=1.2), stored("new", se=1.2)
    with pytest.raises(UserError, match="no module in common"):
        compare(old, new, LIMIT)


def test_a_module_that_was_never_timed_in_one_run_is_said_to_be_so(stored):
    old, new = stored("old", sa=1.2, se=1.1), stored("new", sa=[], se=1.1)
    sa, se = compare(old, new, LIMIT).changes
    assert (sa.new, sa.change, sa.fails) == (None, None, False)
    assert cells(sa) == ("sa", "1.200 [1.200, 1.200]", "–", "–", "–", "was not timed in both", "")
    assert se.change is not None


def test_a_folder_without_a_run_is_bad_input(stored, tmp_path):
    run, empty = stored("run", sa=1.2), tmp_path / "empty"
    empty.mkdir()
    for old, new in ((run, empty), (empty, run), (run, tmp_path / "missing")):
        with pytest.raises(UserError, match="cannot read"):
            compare(old, new, LIMIT)


@pytest.fixture
def grid_of(stored, tmp_path):
    """Makes a folder of runs from the ratio of SA at each batch size, in the order given."""

    def store_grid(name, ratios, **others):
        for place, (batch_size, ratio) in enumerate(ratios.items()):
            settings = {"batch_size": batch_size}
            stored(f"{name}/{place}", sa=ratio, settings=settings, **others)
        return tmp_path / name

    return store_grid


def test_the_runs_of_a_grid_are_paired_by_their_configuration(grid_of):
    old = grid_of("old", {1: 1.1, 8: 1.2})
    new = grid_of("new", {8: 1.26, 1: 1.1})
    found = compare(old, new, LIMIT).changes
    assert {each.configuration.split(", ")[2]: each.fails for each in found} == {
        "batch 8": True,
        "batch 1": False,
    }


def test_the_runs_of_a_grid_are_paired_whatever_their_seeds(stored, tmp_path):
    for name, seed in (("old", 1), ("new", 2)):
        for batch_size in (1, 8):
            settings = {"batch_size": batch_size, "seed": seed}
            stored(f"{name}/{batch_size}", sa=1.2, settings=settings)
    assert len(compare(tmp_path / "old", tmp_path / "new", LIMIT).changes) == 2


@pytest.mark.parametrize(
    ("old_sizes", "new_sizes", "counts"),
    [
        ((1, 8), (1, 32), "of 2 and 2 configurations only 1 in both"),
        ((1, 8), (1,), "of 2 and 1 configurations only 1 in both"),
        ((1,), (1, 8), "of 1 and 2 configurations only 1 in both"),
    ],
)
def test_grids_of_other_configurations_are_refused_unless_forced(
    grid_of, old_sizes, new_sizes, counts
):
    old = grid_of("old", dict.fromkeys(old_sizes, 1.2))
    new = grid_of("new", dict.fromkeys(new_sizes, 1.26))
    with pytest.raises(UserError, match=f"{counts}; --force compares those"):
        compare(old, new, LIMIT)
    forced = the_only(compare(old, new, LIMIT, force=True).changes)
    assert "batch 1," in forced.configuration
    assert forced.fails
    assert forced.caveats == ()


def test_grids_without_a_configuration_in_common_are_bad_input_even_if_forced(grid_of):
    old, new = grid_of("old", {1: 1.2, 2: 1.2}), grid_of("new", {4: 1.2, 8: 1.2})
    with pytest.raises(UserError, match="in common"):
        compare(old, new, LIMIT, force=True)


def test_grids_of_other_machines_are_refused(grid_of):
    old = grid_of("old", {1: 1.2, 8: 1.2})
    new = grid_of("new", {1: 1.2, 8: 1.2}, facts={"cpu": "B"})
    with pytest.raises(UserError, match="cpu is A in the old and B in the new"):
        compare(old, new, LIMIT)


@pytest.mark.parametrize("force", [False, True])
def test_modules_alone_are_refused(stored, tmp_path, case, force):
    folder, run = tmp_path / "alone", stored("run", sa=1.2)
    plan = Plan(variants=alone(("sa",)), budget_s=10.0, target=0.01)
    isolated = Record(case=replace(case, isolated=True), results=plan, environment=ENVIRONMENT)
    store.append(folder, isolated)
    for old, new in ((folder, run), (run, folder)):
        with pytest.raises(UserError, match=f"{folder} holds modules alone"):
            compare(old, new, LIMIT, force=force)


def test_a_table_has_a_row_a_module_for_each_configuration(grid_of):
    old, new = grid_of("old", {1: 1.1, 8: 1.2}), grid_of("new", {1: 1.1, 8: 1.26})
    (first, few), (second, many) = tables(compare(old, new, LIMIT))
    setting = "resnet50, inference, batch {}, 32x32, float32, cpu"
    caption = (
        f"Change of the ratio to the plain host: {setting}; old runs: 1, new runs: 1; "
        "taken to scatter by 0.0% until they show it"
    )
    assert (first, second) == (caption.format(1), caption.format(8))
    assert few[0][0] == "sa"
    assert many == [
        (
            "sa",
            "1.200 [1.200, 1.200]",
            "1.260 [1.260, 1.260]",
            "1.050 [1.050, 1.050]",
            "±0.0%",
            "slower by more than 3.0%",
            "",
        )
    ]
    assert len(HEADINGS) == len(many[0])


def test_json_has_every_field_and_null_for_an_infinite_end(stored):
    old = stored("old", sa=1.2, se=[1.1] * 3, eca=1.1)
    new = stored("new", sa=1.26, se=1.1, eca=[])
    found = compare(old, new, LIMIT)
    assert found.changes[1].old == Interval(pytest.approx(1.1), 0.0, math.inf)
    data = json.loads(as_json(found), parse_constant=pytest.fail)
    assert data["limit"] == LIMIT
    sa, se, eca = data["changes"]
    assert list(sa) == [
        "configuration",
        "module",
        "runs",
        "old",
        "new",
        "change",
        "between",
        "verdict",
        "fails",
        "caveats",
    ]
    assert sa["change"] == pytest.approx({"median": 1.05, "low": 1.05, "high": 1.05})
    assert sa["fails"] is True
    assert (sa["runs"], sa["between"]) == ([1, 1], 0.0)
    assert se["old"] == {"median": pytest.approx(1.1), "low": 0.0, "high": None}
    assert se["change"]["high"] is None
    assert (eca["new"], eca["change"], eca["between"]) == (None, None, None)
    assert eca["runs"] == [1, 0]


def test_github_gets_an_error_for_each_change_that_fails_and_a_summary(
    stored, tmp_path, monkeypatch
):
    summary = tmp_path / "summary"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    old, new = stored("old", sa=1.2, se=1.0, eca=1.1), stored("new", sa=1.26, se=1.2, eca=1.1)
    setting = "resnet50, inference, batch 2, 32x32, float32, cpu"
    assert as_github(compare(old, new, LIMIT)).splitlines() == [
        f"::error title=attnbench sa::sa ({setting}): its ratio to the plain host is "
        "1.050 [1.050, 1.050] times the old one",
        f"::error title=attnbench se::se ({setting}): its ratio to the plain host is "
        "1.200 [1.200, 1.200] times the old one",
        "2 of 3 slower by more than 3.0%; 0 without a verdict",
    ]
    lines = summary.read_text().splitlines()
    caption = (
        f"Change of the ratio to the plain host: {setting}; old runs: 1, new runs: 1; "
        "taken to scatter by 0.0% until they show it"
    )
    assert lines[0] == f"**{caption}**"
    assert lines[2] == f"| {' | '.join(HEADINGS)} |"
    assert [line.split(" | ")[0] for line in lines[4:]] == ["| sa", "| se", "| eca"]


def test_github_prints_the_table_where_there_is_no_summary(grid_of, monkeypatch):
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    folder = grid_of("run", {1: 1.1, 8: 1.2})
    printed = as_github(compare(folder, folder, LIMIT)).splitlines()
    assert printed[0] == "0 of 2 slower by more than 3.0%; 0 without a verdict"
    assert sum(line.startswith("| sa | ") for line in printed) == 2
    assert not any(line.startswith("::error") for line in printed)


@pytest.mark.usefixtures("scattered_runs")
def test_one_run_a_side_allows_for_the_scatter_of_runs(stored):
    found = the_only(compare(stored("old", sa=1.2), stored("new", sa=1.26), 0.0).changes)
    # Student's t of the six runs that are assumed, times 1% for each of the two.
    half_width = 2.447 * 0.01 * math.sqrt(2)
    assert found.between == pytest.approx(math.expm1(half_width), rel=1e-3)
    assert ends(found.change) == pytest.approx(
        (1.05, 1.05 * math.exp(-half_width), 1.05 * math.exp(half_width)), rel=1e-4
    )
    assert cells(found)[3:5] == ("1.050 [1.014, 1.087]", "±3.5%")
    assert found.fails


def test_a_scatter_that_is_known_stands_for_the_assumed_one(stored):
    old, new = stored("old", sa=1.2), stored("new", sa=1.26)
    known = compare(old, new, 0.0, between_runs=0.01)
    half_width = 2.447 * 0.01 * math.sqrt(2)  # as with an assumption of 1%
    assert the_only(known.changes).between == pytest.approx(math.expm1(half_width), rel=1e-3)
    assert json.loads(as_json(known))["between_runs"] == 0.01
    ((caption, _),) = tables(known)
    assert caption.endswith("taken to scatter by 1.0% until they show it")


@pytest.mark.usefixtures("scattered_runs")
def test_a_change_that_two_runs_of_one_thing_could_show_does_not_fail(stored):
    found = the_only(compare(stored("old", sa=1.2), stored("new", sa=1.24), 0.0).changes)
    assert (found.verdict, found.fails) == ("no significant difference", False)


@pytest.fixture
def repeated_runs(stored, tmp_path):
    """Makes a folder of runs of one configuration from SA's ratio and the time of each."""

    def store_runs(name, ratios, times, **others):
        for place, (ratio, time) in enumerate(zip(ratios, times, strict=True)):
            facts = {"time": time, **others.get("facts", {})}
            stored(f"{name}/{place}", sa=ratio, facts=facts, settings={"seed": place})
        return tmp_path / name

    return store_runs


@pytest.mark.usefixtures("scattered_runs")
def test_runs_of_one_configuration_are_taken_together(repeated_runs):
    old = repeated_runs("old", [1.19, 1.20, 1.21], ["10", "12", "14"])
    new = repeated_runs("new", [1.25, 1.26, 1.27], ["11", "13", "15"])
    comparison = compare(old, new, 0.0)
    found = the_only(comparison.changes)
    means = [math.prod(side) ** (1 / 3) for side in ((1.19, 1.20, 1.21), (1.25, 1.26, 1.27))]
    assert (found.old.median, found.new.median) == pytest.approx(means)
    assert found.change.median == pytest.approx(means[1] / means[0])
    assert found.runs == (3, 3)
    assert found.between < math.expm1(2.447 * 0.01 * math.sqrt(2 / 3))  # a third of the variance
    assert found.caveats == ()
    ((caption, _),) = tables(comparison)
    assert "; old runs: 3, new runs: 3; taken to scatter by 1.0% until" in caption


@pytest.mark.usefixtures("scattered_runs")
def test_runs_that_scatter_more_than_is_assumed_widen_the_change(repeated_runs):
    calm, wild = (
        the_only(compare(folder, folder, LIMIT).changes)
        for folder in (
            repeated_runs("calm", [1.2, 1.2, 1.2], ["1", "2", "3"]),
            repeated_runs("wild", [1.0, 1.2, 1.44], ["1", "2", "3"]),
        )
    )
    assert wild.between > 5 * calm.between


def test_runs_of_one_side_that_were_all_made_first_are_said_to_be_so(repeated_runs):
    old = repeated_runs("old", [1.2, 1.2], ["10", "11"])
    new = repeated_runs("new", [1.2, 1.2], ["12", "13"])
    said = ("all runs of one side were made before those of the other",)
    for one, other in ((old, new), (new, old)):
        assert the_only(compare(one, other, LIMIT).changes).caveats == said
    both = the_only(compare(old, repeated_runs("among", [1.2], ["10:30"]), LIMIT).changes)
    assert both.caveats == ()


def test_the_runs_of_one_side_are_judged_by_the_mean_of_their_controls(stored, tmp_path):
    for name in ("old", "new"):
        stored(f"{name}/a", sa=1.2, control=1.02)
        stored(f"{name}/b", sa=1.2, control=1 / 1.02)
    assert the_only(compare(tmp_path / "old", tmp_path / "new", LIMIT).changes).caveats == ()
    for name in ("c", "d"):
        stored(f"new/{name}", sa=1.2, control=1.02)
    found = the_only(compare(tmp_path / "old", tmp_path / "new", LIMIT).changes)
    fault = "the plain host against itself is significantly different from 1"
    assert found.caveats == (f"the control of the new failed: {fault}",)
    assert found.verdict == "none"


@pytest.mark.parametrize("force", [False, True])
def test_two_machines_in_one_folder_are_refused(stored, tmp_path, force):
    for name, cpu in (("a", "A"), ("b", "B")):
        stored(f"old/{name}", sa=1.2, facts={"cpu": cpu})
    new = stored("new", sa=1.2)
    with pytest.raises(UserError, match="two machines: cpu is A in one run and B in another"):
        compare(tmp_path / "old", new, LIMIT, force=force)


def test_two_configurations_that_force_cannot_tell_apart_are_refused(stored, tmp_path):
    for name in ("old", "new"):
        stored(f"{name}/a", sa=1.2)
        stored(f"{name}/b", sa=1.2, settings={"threads": 9})
    assert len(compare(tmp_path / "old", tmp_path / "new", LIMIT).changes) == 2
    with pytest.raises(UserError, match="two configurations of one mode, dtype"):
        compare(tmp_path / "old", tmp_path / "new", LIMIT, force=True)
