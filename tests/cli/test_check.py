import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from attnbench.claims.outcome import Outcome
from attnbench.cli.check import as_github, as_json, as_junit, as_markdown

GOOD = Outcome(
    name="good",
    subject="sa in resnet50: added params",
    stated="708",
    computed="708",
    rule="learnable",
    verdict="reproduced",
    expected="reproduced",
    holds=True,
)
BAD = Outcome(
    name="bad: 50%, <b>",
    subject="x|y",
    stated="1",
    computed="2",
    rule="leaf",
    verdict="contradicted",
    expected="reproduced",
    holds=False,
)


def test_json_holds_every_field() -> None:
    first, second = json.loads(as_json([GOOD, BAD]))
    assert first["computed"] == "708"
    assert (first["holds"], second["holds"]) == (True, False)


def test_junit_has_a_case_a_line_and_fails_those_that_do_not_hold() -> None:
    suite = ElementTree.fromstring(as_junit([GOOD, BAD]))
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    good, bad = suite.findall("testcase")
    assert good.find("failure") is None
    assert bad.get("name") == BAD.name
    assert bad.find("failure").get("message") == BAD.fault


def test_github_gets_an_annotation_for_what_does_not_hold_and_a_summary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = tmp_path / "summary"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    printed = as_github([GOOD, BAD]).splitlines()
    assert printed[0].startswith("::error title=attnbench bad%3A 50%25%2C <b>::x|y: stated 1")
    assert printed[1:] == ["1 of 2 as expected"]
    assert "**attnbench check**: 1 of 2 as expected" in summary.read_text()


def test_github_prints_the_summary_where_there_is_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    assert "| good | sa in resnet50: added params |" in as_github([GOOD])


def test_markdown_shows_what_does_not_hold_first() -> None:
    rows = as_markdown([GOOD, BAD]).splitlines()[4:]
    assert rows[0].startswith(r"| bad: 50%, <b> | x\|y |")
    assert rows[1].startswith("| good |")
