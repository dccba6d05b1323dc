import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from helpers.command_line import call

from attnbench.claims import check, pins
from attnbench.claims import claim as claims
from attnbench.claims.outcome import Outcome
from attnbench.cli.commands.check import FORMATS, as_github, as_junit, summary

GOOD = Outcome(
    kind="claim",
    name="good",
    subject="sa in resnet50: added params",
    stated=708,
    computed=708,
    unit="parameters",
    stated_text="708",
    computed_text="708",
    rule="learnable",
    verdict="reproduced",
    code="reproduced",
    expected="reproduced",
    holds=True,
)
BAD = Outcome(
    kind="claim",
    name="bad: 50%, <b>",
    subject="x|y",
    stated=1_000_000,
    computed=2_759_680,
    unit="operations",
    stated_text="1 M",
    computed_text="2,759,680",
    rule="leaf",
    seconds=0.25,
    verdict="contradicted",
    code="contradicted",
    expected="reproduced",
    holds=False,
)
OVER = replace(
    GOOD,
    kind="limit",
    name="limits.txt, line 3",
    stated=700,
    stated_text="<= 700",
    verdict="OVER by 8",
    expected="within",
    holds=False,
    file="limits.txt",
    line=3,
)
WITHIN = replace(OVER, stated=708, stated_text="<= 708", verdict="within", holds=True)
OPEN = replace(OVER, stated_text="<= 1.1", verdict="cannot tell: why", undecided=True)


def test_json_holds_every_field() -> None:
    first, second = json.loads(FORMATS["json"]([GOOD, BAD]))
    assert (second["stated"], second["computed"]) == (1_000_000, 2_759_680)
    assert (first["unit"], second["unit"]) == ("parameters", "operations")
    assert "seconds" not in first  # the same for the same code
    assert (first["holds"], second["holds"]) == (True, False)


def test_junit_has_a_case_a_line_and_fails_those_that_do_not_hold() -> None:
    suite = ElementTree.fromstring(as_junit([GOOD, BAD]))
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    good, bad = suite.findall("testcase")
    assert good.find("failure") is None
    assert bad.get("name") == BAD.name
    assert bad.find("failure").get("message") == BAD.fault
    assert bad.find("failure").get("type") == BAD.code
    assert (good.get("time"), bad.get("time"), suite.get("time")) == ("0.000", "0.250", "0.250")


def test_junit_names_are_distinct_and_what_cannot_be_told_is_an_error() -> None:
    suite = ElementTree.fromstring(as_junit([OVER, WITHIN, OPEN, OPEN]))
    counts = [suite.get(name) for name in ("tests", "failures", "errors")]
    assert counts == ["4", "1", "2"]
    cases = suite.findall("testcase")
    assert [case.get("name") for case in cases] == [
        f"line 3: sa in resnet50: added params {limit}"
        for limit in ("<= 700", "<= 708", "<= 1.1", "<= 1.1 (2)")
    ]
    assert {case.get("classname") for case in cases} == {"limits.txt"}
    assert [child.tag for case in cases for child in case] == ["failure", "error", "error"]


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        ([GOOD], "1 figure: 1 as expected"),
        ([GOOD, BAD], "2 figures: 1 as expected, 1 not as expected"),
        ([WITHIN], "1 limit: 1 within"),
        ([OVER, WITHIN, OPEN], "3 limits: 1 within, 1 not within, 1 cannot tell"),
    ],
)
def test_a_summary_counts_what_holds(outcomes: list[Outcome], said: str) -> None:
    assert summary(outcomes) == said


def test_a_limit_that_is_exceeded_is_annotated_where_it_is_written() -> None:
    assert as_github([OVER]).splitlines()[0] == (
        "::error file=limits.txt,line=3,title=attnbench limits.txt%2C line 3::"
        "sa in resnet50: added params: 708 (learnable), limit <= 700: OVER by 8"
    )


def test_github_gets_an_annotation_for_what_does_not_hold_and_a_summary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = tmp_path / "summary"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    printed = as_github([GOOD, BAD]).splitlines()
    assert printed[0].startswith("::error title=attnbench bad%3A 50%25%2C <b>::x|y: stated 1 M")
    assert printed[1:] == ["2 figures: 1 as expected, 1 not as expected"]
    assert "**attnbench check**: 2 figures: 1 as expected, 1 not" in summary.read_text()


def test_github_prints_the_summary_where_there_is_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    assert "| good | sa in resnet50: added params |" in as_github([GOOD])


def test_markdown_shows_what_does_not_hold_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    _, markdown = as_github([GOOD, BAD]).split("**attnbench check**")
    rows = markdown.splitlines()[4:]
    assert rows[0].startswith(r"| bad: 50%, &lt;b&gt; | x\|y |")
    assert rows[1].startswith("| good |")


def test_check_prints_both_numbers_and_ends_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("check", "--only", "sa-abstract-*") == 0
    shown = capsys.readouterr().out
    for figure in ("300", "708", "2.76e-3 G", "2,759,680"):
        assert figure in shown
    assert shown.rstrip().endswith("as expected.")


def test_check_names_what_has_changed_and_ends_badly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = [claims.Finding(claim, 709) for claim in claims.select("sa-abstract-module-params")]
    monkeypatch.setattr(check, "check", lambda _: changed)
    monkeypatch.setattr(pins, "select", lambda _: [])
    assert call("check") == 1
    shown = capsys.readouterr()
    assert "NO: contradicted, 708" in shown.out
    assert "stated 300, computed 709" in shown.err


def test_check_speaks_to_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("check", "--only", "eca-module-*", "--format", "json") == 0
    (outcome,) = json.loads(capsys.readouterr().out)
    assert (outcome["name"], outcome["computed"]) == ("eca-module-params", 80)


@pytest.mark.parametrize("option", ["--limits", "--budget"])
def test_check_takes_a_file_of_limits(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = tmp_path / "limits.txt"
    limits.write_text("sa in resnet50: added params <= 708\n")
    assert call("check", option, str(limits)) == 0
    assert f"Limits of {limits}" in " ".join(capsys.readouterr().out.split())
    limits.write_text("sa in resnet50: added params <= 300\n")
    assert call("check", option, str(limits)) == 1
    assert "OVER by 408" in capsys.readouterr().out


def test_the_former_name_of_limits_is_not_in_the_help(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call("check", "--help") == 0
    shown = capsys.readouterr().out
    assert "--limits" in shown
    assert "--budget" not in shown


def test_what_a_module_prints_is_no_part_of_an_answer(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "loud.py").write_text(
        "from torch import nn\n"
        "print('loaded')\n"
        "class Loud(nn.Identity):\n"
        "    def __init__(self, channels):\n"
        "        super().__init__()\n"
        "        print('built')\n"
        "    def forward(self, x):\n"
        "        print('called')\n"
        "        return x\n"
    )
    limits = tmp_path / "limits.txt"
    limits.write_text("loud.py:Loud in resnet18: added params <= 0, executed kernels <= 0\n")
    assert call("check", "--limits", str(limits), "--format", "json") == 1
    outcomes = json.loads(capfd.readouterr().out)
    assert [outcome["holds"] for outcome in outcomes] == [True, False]


def test_limits_hold_where_the_options_say(tmp_path: Path, capsys) -> None:
    """SE behind the last block of ResNet-18 at 64 pixels: 512 channels, a map of 2 x 2."""
    file = tmp_path / "limits.txt"
    kernels = "added executed kernels <= 6"  # as in every block: see tests/counting
    file.write_text(f"se in resnet18: added params <= 33_312, added macs <= 32_768, {kernels}\n")
    where = ("--stages", "4", "--blocks", "last", "--image-size", "64")
    assert call("check", "--limits", str(file), *where) == 0
    assert call("check", "--limits", str(file), *where[:2]) == 1  # two blocks
    assert "OVER by 33,312" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("limit", "arguments", "message"),
    [
        ("latency ratio <= 1.1", ("--stages", "4"), "limits of latency, as in"),
        ("params <= 1", ("--stages", "5"), "unknown stages [5]"),
        ("params <= 1", ("--image-size", "64,96"), "--image-size takes one size here"),
    ],
)
def test_a_place_that_cannot_be_is_refused(
    tmp_path: Path, capsys, limit: str, arguments: tuple[str, ...], message: str
) -> None:
    file = tmp_path / "limits.txt"
    file.write_text(f"se in resnet18: {limit}\n")
    assert call("check", "--limits", str(file), *arguments) == 2
    assert message in capsys.readouterr().err
    assert call("check", *arguments) == 2
    assert "go with --limits" in capsys.readouterr().err


def test_limits_hold_in_the_host_that_is_asked_for(tmp_path: Path, capsys) -> None:
    """ECA in ResNet-18 has kernels of 3, 5, 7 and 7 in two blocks each."""
    file = tmp_path / "limits.txt"
    file.write_text("eca in resnet50: added params <= 44\n")
    assert call("check", "--limits", str(file), "--host", "resnet18") == 0
    assert "eca in resnet18: added params" in capsys.readouterr().out
    assert call("check", "--limits", str(file)) == 1


def test_figures_are_those_of_the_host_that_is_asked_for(capsys) -> None:
    only = ("--only", "pin-eca-*-added-params", "--format", "json")
    assert call("check", "--host", "resnet101", *only) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["computed"] == 157
    assert call("check", "--host", "resnet102") == 2
    assert "did you mean resnet1" in capsys.readouterr().err
