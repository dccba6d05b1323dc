import json
from pathlib import Path

import pytest
from helpers.command_line import SMALL_RUN, call

from attnbench.records import store
from attnbench.records.schema import SCHEMA


@pytest.mark.usefixtures("no_plots")
def test_runs_of_several_folders_have_a_page_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [tmp_path / name for name in ("laptop", "server")]
    records = (SMALL_RUN / store.FILE_NAME).read_text()
    for folder, year in zip(folders, ("2026", "2027"), strict=True):
        folder.mkdir()
        begun = records.replace('"time":"2026', f'"time":"{year}')
        (folder / store.FILE_NAME).write_text(begun)
    both = [str(folder) for folder in folders]
    assert call("report", *both, "--out", str(tmp_path / "both")) == 0
    assert {path.name for path in (tmp_path / "both").iterdir()} == {
        "grid.md",
        "grid.csv",
        "grid.tex",
        "report.html",
    }
    assert all((folder / "report.html").exists() for folder in folders)
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.endswith(f"Tables, plots and report.html are in {tmp_path / 'both'}")
    assert call("report", *both) == 2
    assert "give --out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no records"),
        ("hello\n\n", "line 1: not JSON"),
        ('{"a": 1}\n', "line 1: not an attnbench record"),
        ('{"schema": 99}\n', f"line 1: schema 99; this attnbench reads schema {SCHEMA}"),
    ],
)
def test_a_foreign_records_file_is_bad_input(
    tmp_path: Path, text: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / store.FILE_NAME).write_text(text)
    assert call("report", str(tmp_path)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_damaged_line_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (SMALL_RUN / store.FILE_NAME).read_text().splitlines(keepends=True)
    lines[8] = lines[8].replace('"seconds":0.2', '"seconds":-0.2', 1)
    (tmp_path / store.FILE_NAME).write_text("".join(lines))
    assert call("report", str(tmp_path)) == 2
    assert "line 9: results.blocks.0.seconds must be at least 1e-09" in capsys.readouterr().err


def test_records_are_plain_json_lines() -> None:
    text = (SMALL_RUN / "records.jsonl").read_text()
    first, *later = map(json.loads, text.splitlines())
    assert set(first) == {"schema", "case", "results", "environment"}
    assert all(set(line) <= {"variant", "results", "environment", "error"} for line in later)


@pytest.mark.usefixtures("no_plots")
def test_the_command_writes_both_files_for_one_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path), "--paper", "added_params,ratio"]
    assert call("report", str(SMALL_RUN), *out) == 0
    assert "paper.tex and paper.bib" in capsys.readouterr().out
    assert r"\cite{sa2021}" in (tmp_path / "paper.tex").read_text(encoding="utf-8")
    assert "@misc{sk2019" in (tmp_path / "paper.bib").read_text(encoding="utf-8")
    assert call("report", str(SMALL_RUN), "--paper", "nothing") == 2
    assert "unknown column 'nothing'" in capsys.readouterr().err
