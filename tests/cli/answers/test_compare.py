import json
import math
import re
from pathlib import Path

import pytest
from helpers.changes import ends, the_only
from helpers.command_line import SMALL_RUN, call

from attnbench.analysis.compare import compare
from attnbench.cli.answers.compare import FORMATS, HEADINGS, as_github, cells, tables
from attnbench.records import store
from attnbench.stats.interval import Interval

LIMIT = 0.03


def test_modules_of_one_run_only_are_rows_without_a_verdict(stored):
    old, new = stored("old", sa=1.2, se=1.1), stored("new", eca=1.1, se=1.1)
    comparison = compare(old, new, LIMIT)
    verdicts = {change.module: change.verdict for change in comparison.changes}
    alone = "was not timed in both"
    assert verdicts == {"eca": alone, "se": "no significant difference", "sa": alone}
    assert "0 of 3 modules slower by more than 3%; 2 without a verdict" in as_github(comparison)


def test_a_module_that_was_never_timed_in_one_run_is_said_to_be_so(stored):
    old, new = stored("old", sa=1.2, se=1.1), stored("new", sa=[], se=1.1)
    sa, se = compare(old, new, LIMIT).changes
    assert (sa.new, sa.change, sa.fails) == (None, None, False)
    untimed = ("was not timed in both", "untimed")
    assert cells(sa) == ("sa", "1.200 [1.200, 1.200]", "–", "–", "–", *untimed)
    assert se.change is not None


def test_a_table_has_a_row_a_module_for_each_configuration(grid_of):
    old, new = grid_of("old", {1: 1.1, 8: 1.2}), grid_of("new", {1: 1.1, 8: 1.26})
    (first, few, _), (second, many, said) = tables(compare(old, new, LIMIT))
    setting = "resnet50, inference, batch {}, 32x32, float32, cpu"
    caption = (
        f"Change of the ratio to the plain host: {setting}; old runs: 1, new runs: 1; "
        "scatter between runs assumed to be 0.0% until they show it"
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
            "slower by more than 3%",
            "slower",
        )
    ]
    # A batch of eight in 0.1 s.
    known = "12.50 [12.50, 12.50]"
    assert said == [f"Plain host: {known} ms/image in the old, {known} in the new."]
    assert len(HEADINGS) == len(many[0])


def test_json_has_every_field_and_null_for_an_infinite_end(stored):
    old = stored("old", sa=1.2, se=[1.1] * 3, eca=1.1)
    new = stored("new", sa=1.26, se=1.1, eca=[])
    comparison = compare(old, new, LIMIT)
    assert comparison.changes[1].old == Interval(pytest.approx(1.1), 0.0, math.inf)
    data = json.loads(FORMATS["json"](comparison), parse_constant=pytest.fail)
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
        "code",
        "fails",
        "lost",
    ]
    assert sa["change"] == pytest.approx({"median": 1.05, "low": 1.05, "high": 1.05})
    assert sa["fails"] is True
    assert (sa["runs"], sa["between"]) == ([1, 1], 0.0)
    assert se["old"] == {"median": pytest.approx(1.1), "low": 0.0, "high": None}
    assert se["change"]["high"] is None
    (pair,) = data["pairs"]
    assert list(pair) == ["configuration", "plain_s", "remarks", "faults"]
    assert [side["median"] for side in pair["plain_s"]] == pytest.approx([0.05, 0.05])
    assert eca["lost"] is True
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
        "2 of 3 modules slower by more than 3%; 0 without a verdict",
    ]
    lines = summary.read_text().splitlines()
    caption = (
        f"Change of the ratio to the plain host: {setting}; old runs: 1, new runs: 1; "
        "scatter between runs assumed to be 0.0% until they show it"
    )
    assert lines[0] == f"**{caption}**"
    assert lines[2] == f"| {' | '.join(HEADINGS)} |"
    assert [line.split(" | ")[0] for line in lines[4:7]] == ["| sa", "| se", "| eca"]
    assert lines[8].startswith("Plain host: ")


def test_github_prints_the_table_where_there_is_no_summary(grid_of, monkeypatch):
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    folder = grid_of("run", {1: 1.1, 8: 1.2})
    printed = as_github(compare(folder, folder, LIMIT)).splitlines()
    assert printed[0] == "0 of 2 modules slower by more than 3%; 0 without a verdict"
    assert sum(line.startswith("| sa | ") for line in printed) == 2
    assert not any(line.startswith("::error") for line in printed)


@pytest.mark.usefixtures("scattered_runs")
def test_one_run_a_side_allows_for_the_scatter_of_runs(stored):
    change = the_only(compare(stored("old", sa=1.2), stored("new", sa=1.26), 0.0).changes)
    # Student's t of the six runs that are assumed, times 1% for each of the two.
    half_width = 2.447 * 0.01 * math.sqrt(2)
    assert change.between == pytest.approx(math.expm1(half_width), rel=1e-3)
    assert ends(change.change) == pytest.approx(
        (1.05, 1.05 * math.exp(-half_width), 1.05 * math.exp(half_width)), rel=1e-4
    )
    assert cells(change)[3:5] == ("1.050 [1.014, 1.087]", "±3.5%")
    assert change.fails


def test_a_scatter_that_is_known_stands_for_the_assumed_one(stored):
    old, new = stored("old", sa=1.2), stored("new", sa=1.26)
    known = compare(old, new, 0.0, scatter=0.01)
    half_width = 2.447 * 0.01 * math.sqrt(2)  # as with an assumption of 1%
    assert the_only(known.changes).between == pytest.approx(math.expm1(half_width), rel=1e-3)
    assert json.loads(FORMATS["json"](known))["between_runs"] == 0.01
    ((caption, _, _),) = tables(known)
    assert caption.endswith("scatter between runs assumed to be 1.0% until they show it")


@pytest.mark.usefixtures("scattered_runs")
def test_runs_of_one_configuration_are_taken_together(repeated_runs):
    old = repeated_runs("old", [1.19, 1.20, 1.21], ["10", "12", "14"])
    new = repeated_runs("new", [1.25, 1.26, 1.27], ["11", "13", "15"])
    comparison = compare(old, new, 0.0)
    change = the_only(comparison.changes)
    means = [math.prod(side) ** (1 / 3) for side in ((1.19, 1.20, 1.21), (1.25, 1.26, 1.27))]
    assert (change.old.median, change.new.median) == pytest.approx(means)
    assert change.change.median == pytest.approx(means[1] / means[0])
    assert change.runs == (3, 3)
    assert change.between < math.expm1(2.447 * 0.01 * math.sqrt(2 / 3))  # a third of the variance
    assert comparison.pairs[0].remarks == ()
    ((caption, _, _),) = tables(comparison)
    assert "; old runs: 3, new runs: 3; scatter between runs assumed to be 1.0% until" in caption


def test_compare_ends_badly_where_a_slowdown_is_significant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (SMALL_RUN / store.FILE_NAME).read_text()
    slower = re.sub(
        r'("variant":"sa","steps":\d+,"seconds":)([\d.]+)',
        lambda match: f"{match[1]}{float(match[2]) * 1.1}",
        text,
    )
    assert slower != text
    (tmp_path / store.FILE_NAME).write_text(slower)
    assert call("compare", str(SMALL_RUN), str(tmp_path)) == 1
    shown = capsys.readouterr()
    assert "slower by more than 3%" in shown.out
    assert shown.err.startswith("attnbench: sa ")
    assert call("compare", str(SMALL_RUN), str(tmp_path), "--fail-above", "15%") == 0
    assert call("compare", str(SMALL_RUN), str(SMALL_RUN)) == 0


@pytest.mark.parametrize("format_", ["text", "github"])
def test_compare_ends_badly_where_nothing_has_a_verdict(
    stored, format_: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sides = str(stored("old", sa=1.2)), str(stored("new", sa=1.2, control=1.05))
    given = ("compare", *sides, "--format", format_)
    assert call(*given) == 1
    shown = capsys.readouterr()
    assert "attnbench: no module has a verdict (resnet50, inference, " in shown.err
    assert "the control of the new failed" in shown.err
    assert ("::error title=attnbench compare::no module" in shown.out) == (format_ == "github")
    assert call(*given, "--allow-no-verdict") == 0
    assert call(*given, "--allow-no-verdict", "--require-verdicts") == 2


def test_remarks_stand_once_below_the_table(stored, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = stored("old", sa=1.2, se=1.1), stored("new", sa=1.2, se=1.1, plain_s=0.2)
    assert call("compare", str(old), str(new)) == 0
    shown = capsys.readouterr().out
    assert shown.count("Remark: the plain host itself went from 50.00 to 100.00 ms/image") == 1
