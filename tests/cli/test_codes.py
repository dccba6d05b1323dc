"""Every verdict that a command prints has a code, and every code is explained."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.command_line import SMALL_RUN, call

import attnbench
from attnbench.claims import claim, pins
from attnbench.cli.answers import plan
from attnbench.cli.commands import check
from attnbench.cli.run import results_json
from attnbench.measuring.selftest.selftest import HEADINGS, Findings
from attnbench.report.load import load
from attnbench.stats.components import Mix
from attnbench.stats.verdicts import reasons
from attnbench.stats.verdicts.explanations import REASONS

PACKAGE = Path(attnbench.__file__).parent


def coded(data: object) -> Iterator[str]:
    """The codes in a JSON document; a verdict without one fails."""
    if isinstance(data, list):
        for item in data:
            yield from coded(item)
    if not isinstance(data, dict):
        return
    for key in [key for key in data if key.endswith("verdict")]:
        assert key.replace("verdict", "code") in data, f"{data} has a verdict without a code"
    for key, value in data.items():
        if key == "codes":
            yield from value.values()
        elif key.endswith("code") and isinstance(value, str):
            yield value
        else:
            yield from coded(value)


def lists(value: ast.expr) -> set[object]:
    return {node.value for node in ast.walk(value) if isinstance(node, ast.Constant)}


def test_a_table_with_a_verdict_has_a_code() -> None:
    """Where headings or columns are written down, ``code`` stands beside ``verdict``."""
    tables = set()
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for node in ast.parse(text).body if '"verdict"' in text else ():
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple):
                headings = lists(node.value)
                if "verdict" in headings:
                    tables.add((str(path.relative_to(PACKAGE)), "code" in headings))
    without = {name for name, has_code in tables if not has_code}
    # Their verdicts are codes themselves, or have them in brackets: the next test.
    of_claims = {"cli/commands/check.py", "report/tables/claims.py"}
    assert without <= of_claims | {"claims/published/tables.py", "cli/answers/report.py"}
    assert {name for name, has_code in tables if has_code} >= {
        "cli/answers/compare.py",
        "cli/answers/history.py",
        "report/tables/accuracy.py",
        "report/tables/run.py",
        "report/tables/trainings/gains.py",
    }


def test_a_verdict_on_a_published_figure_is_a_code_or_names_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    (figure, *_) = (known for known in claim.catalogue() if known.rule)
    for computed in (0, figure.true or 1):
        assert claim.Finding(figure, computed).verdict in REASONS
    assert claim.Finding(figure, 0, 0).outcome().code in REASONS
    (name, *_) = pins.select("pin-sa-output")
    assert call("check", "--only", f"pin-{name}") == 0
    assert "as pinned (pinned)" in " ".join(capsys.readouterr().out.split())
    assert call("check", "--only", f"pin-{name}", "--format", "json") == 0
    assert list(coded(json.loads(capsys.readouterr().out))) == [reasons.PINNED]
    assert "verdict" in check.CLAIMS


def test_json_has_the_code_of_every_verdict(stored, tmp_path, capsys) -> None:
    for day, ratio in enumerate((1.2, 1.2, 1.26), start=1):
        facts = {"time": f"2026-01-0{day}T12:00:00+00:00"}
        stored(f"runs/{day}", sa=ratio, se=1.05, eca=[], facts=facts)
    old, new, every = (str(tmp_path / "runs" / name) for name in ("1", "3", "."))
    for words, codes in {
        ("compare", old, new): {"slower", "tie", "untimed"},
        ("history", every): {"first", "slower", "tie"},
        ("pick", old, "--max-overhead", "10%"): {"over", "within", "untimed"},
        ("plan", every, "--to", "30%"): {"reached"},
        ("plan", every, "--to", "0.0001%"): {"reached", "unreached"},
    }.items():
        call(*words, "--format", "json")
        found = set(coded(json.loads(capsys.readouterr().out)))
        assert found <= REASONS.keys()
        assert found >= codes if words[0] != "plan" else found <= codes
        assert found
    printed = json.loads(json.dumps(results_json.measured(load(SMALL_RUN), SMALL_RUN, {})))
    assert set(coded(printed)) <= REASONS.keys()
    assert set(coded(printed))


def test_the_code_of_a_plan_says_whether_a_mix_reaches_the_goal() -> None:
    assert plan.code_of(None) == "unreached"
    assert plan.code_of(Mix(1, 6, 10, 600.0, 0.01)) == "reached"


def test_a_run_of_the_self_test_that_an_error_ended_is_a_row_with_its_code() -> None:
    findings = Findings()
    findings.take_crash("real run 3", MemoryError("no memory"))
    assert findings.faults == ["real run 3: MemoryError: no memory"]
    (row,) = findings.rows
    assert len(row) == len(HEADINGS)
    assert (row[0], row[1], row[-1]) == ("real run 3", "1", reasons.CRASHED)
