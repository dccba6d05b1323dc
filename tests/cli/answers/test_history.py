import json

from helpers.command_line import call


def test_the_series_are_printed_and_drawn(stored, tmp_path, capsys):
    for day, ratio in enumerate((1.2, 1.2, 1.26), start=1):
        stored(f"runs/{day}", sa=ratio, se=1.05, facts={"time": f"2026-01-0{day}T12:00:00+00:00"})
    drawn = tmp_path / "drawn"
    assert call("history", str(tmp_path / "runs"), "--between-runs", "0", "--out", str(drawn)) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "slower from 2026-01-03T12:00:00+00:00 on (3): +5.0% [+5.0, +5.0]." in out
    assert sorted(path.name for path in drawn.iterdir()) == ["history.png", "history.svg"]
    svg = (drawn / "history.svg").read_text()
    assert "SA +26.0% [+26.0, +26.0] in 3, slower" in svg
    assert svg.count("stroke-dasharray") >= 1


def test_a_code_that_is_the_verdicts_own_word_is_not_printed_twice(stored, tmp_path, capsys):
    stored("runs/1", sa=1.2)
    assert call("history", str(tmp_path / "runs")) == 0
    assert capsys.readouterr().out.split().count("first") == 1


def test_json_holds_every_point(stored, tmp_path, capsys):
    stored("runs/1", sa=1.2)
    assert call("history", str(tmp_path / "runs"), "--format", "json") == 0
    (series,) = json.loads(capsys.readouterr().out)["series"]
    assert (series["module"], series["points"][0]["verdict"]) == ("sa", "first")


def test_a_folder_without_runs_is_bad_input(tmp_path, capsys):
    assert call("history", str(tmp_path)) == 2
    assert "cannot read" in capsys.readouterr().err
