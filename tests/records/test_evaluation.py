import json
from dataclasses import asdict
from pathlib import Path

import pytest
from helpers.evaluations import evaluation

from attnbench.errors import UserError
from attnbench.records.evaluation import FILE_NAME, append, begin, exist, read


def test_what_is_written_is_read_back_the_same(tmp_path: Path) -> None:
    first, second = evaluation(), evaluation(module=None, top1_tied=3, dtype="bfloat16")
    append(tmp_path / "new", first)
    append(tmp_path / "new", second)
    assert read(tmp_path / "new") == (first, second)
    assert (tmp_path / "new" / FILE_NAME).read_text().count("\n") == 2


def test_a_folder_without_such_a_file_has_none(tmp_path: Path) -> None:
    assert read(tmp_path) == read(tmp_path / "missing") == ()


def test_a_line_that_was_cut_off_is_removed_before_the_next(tmp_path: Path) -> None:
    append(tmp_path, evaluation())
    with (tmp_path / FILE_NAME).open("a") as file:
        file.write('{"schema":1,"host":')
    assert read(tmp_path) == (evaluation(),)
    append(tmp_path, evaluation(module="se"))
    assert [item.module for item in read(tmp_path)] == ["sa", "se"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 3}, "line 1: schema 3; this attnbench reads schema 2"),
        ({"schema": None}, "line 1: not an attnbench evaluation"),
        ({"images": "50000"}, 'line 1: images must be a whole number, not "50000"'),
        ({"top1_right": 46_901}, "line 1: evaluation: .*top1_right is at most top5_right"),
        ({"top5_right": 50_001}, "and that at most images"),
        ({"top1_tied": 50_000}, "top1_tied is at most images less top1_right"),
        ({"classes": 0}, "classes must be at least 1, not 0"),
        ({"images": 10**400}, "line 1: images must be at most"),
        ({"top5_right": -1}, "top5_right must be at least 0, not -1"),
        ({"classes": 999}, "data.folders is at most classes"),
        ({"module": "control"}, "no module can have the name 'control'"),
        ({"batch_size": 0}, "batch_size must be at least 1, not 0"),
        ({"environment": {"cores": float("nan")}}, r"environment\.cores: .*below 2"),
        (
            {"weights": {"name": "a", "sha256": "short"}},
            "weights.sha256 must be a text of the form",
        ),
        ({"device": "abacus"}, "device: unknown device 'abacus'"),
    ],
)
def test_a_line_that_is_no_evaluation_is_bad_input(
    tmp_path: Path, changes: dict, message: str
) -> None:
    line = json.dumps(asdict(evaluation()) | changes)
    (tmp_path / FILE_NAME).write_text(line + "\n")
    with pytest.raises(UserError, match=message):
        read(tmp_path)


def test_a_folder_is_made_and_checked_for_writing(tmp_path: Path) -> None:
    begin(tmp_path / "new")
    assert exist(tmp_path / "new")
    assert read(tmp_path / "new") == ()
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write to"):
        begin(tmp_path / "file" / "new")
