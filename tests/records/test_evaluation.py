import json
from dataclasses import asdict
from pathlib import Path

import pytest
from helpers.evaluations import evaluation

from attnbench.errors import UserError
from attnbench.records import evaluation as evaluations
from attnbench.records.evaluation import FILE_NAME


def test_what_is_written_is_read_back_the_same(tmp_path: Path) -> None:
    first, second = evaluation(), evaluation(module=None, top1_tied=3, dtype="bfloat16")
    evaluations.append(tmp_path / "new", first)
    evaluations.append(tmp_path / "new", second)
    assert evaluations.read(tmp_path / "new") == (first, second)
    assert (tmp_path / "new" / FILE_NAME).read_text().count("\n") == 2


def test_a_folder_without_such_a_file_has_none(tmp_path: Path) -> None:
    assert evaluations.read(tmp_path) == evaluations.read(tmp_path / "missing") == ()


def test_a_line_that_was_cut_off_is_mended_before_the_next(tmp_path: Path) -> None:
    evaluations.append(tmp_path, evaluation())
    with (tmp_path / FILE_NAME).open("a") as file:
        file.write('{"schema":1,"host":')
    assert evaluations.read(tmp_path) == (evaluation(),)
    evaluations.append(tmp_path, evaluation(module="se"))
    assert [each.module for each in evaluations.read(tmp_path)] == ["sa", "se"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 2}, "line 1: schema 2; this attnbench reads schema 1"),
        ({"schema": None}, "line 1: not an attnbench evaluation"),
        ({"images": "50000"}, "line 1: images: Input should be a valid integer"),
        ({"top1_right": 46_901}, "line 1: evaluation: .*right in the top 1 are some of those"),
        ({"top5_right": 50_001}, "and these some images"),
        ({"top1_tied": 50_000}, "only images that are wrong in the top 1 can be tied"),
        ({"classes": 0}, "at least one class"),
        ({"weights": {"name": "a", "sha256": "short"}}, "weights.sha256: String should match"),
        ({"device": "abacus"}, "device: Input should be 'cpu' or 'cuda'"),
    ],
)
def test_a_line_that_is_none_is_bad_input(tmp_path: Path, changes: dict, message: str) -> None:
    line = json.dumps(asdict(evaluation()) | changes)
    (tmp_path / FILE_NAME).write_text(line + "\n")
    with pytest.raises(UserError, match=message):
        evaluations.read(tmp_path)


def test_a_place_is_made_and_tried(tmp_path: Path) -> None:
    evaluations.begin(tmp_path / "new")
    assert evaluations.exist(tmp_path / "new")
    assert evaluations.read(tmp_path / "new") == ()
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write to"):
        evaluations.begin(tmp_path / "file" / "new")
