from pathlib import Path

import pytest
from helpers.command_line import call

from attnbench.analysis import baselines
from attnbench.errors import UserError


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_saved_baseline_is_a_copy_of_the_records(stored):
    run = stored("runs/a", sa=1.2)
    stored("runs/b", sa=1.2)
    assert baselines.save("v1.0", Path("runs")) == Path(".attnbench/baselines/v1.0")
    copies = sorted(Path(".attnbench/baselines/v1.0").rglob("*.jsonl"))
    assert [copy.parent.name for copy in copies] == ["01-a", "02-b"]
    assert copies[0].read_bytes() == (run / "records.jsonl").read_bytes()
    assert baselines.names() == ["v1.0"]
    assert baselines.find("v1.0") == Path(".attnbench/baselines/v1.0")


def test_a_run_itself_can_be_saved(stored, monkeypatch):
    monkeypatch.chdir(stored("run", sa=1.2))
    baselines.save("one", Path())
    assert [path.name for path in Path(".attnbench/baselines/one").iterdir()] == ["01-run"]


@pytest.mark.parametrize(
    "name", ["", "..", "a/b", "/a", "-a", ".a", "a b", "a\n", "é", "a" * 65, "a\x1b[2J"]
)
def test_a_name_that_is_no_plain_file_name_is_refused(stored, name):
    with pytest.raises(UserError, match="cannot name a baseline"):
        baselines.save(name, stored(sa=1.2))
    assert not Path(".attnbench").exists()


def test_a_baseline_is_not_overwritten_and_what_is_none_not_saved(stored):
    first = stored("first", sa=1.2)
    baselines.save("one", first)
    with pytest.raises(UserError, match="there is a baseline 'one'; remove"):
        baselines.save("one", stored("second", sa=1.3))
    with pytest.raises(UserError, match="cannot read"):
        baselines.save("two", Path("missing"))
    assert baselines.names() == ["one"]


def test_what_cannot_be_written_leaves_nothing(stored, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(baselines.shutil, "copyfile", full)
    with pytest.raises(UserError, match="cannot save baseline 'one': No space left on device"):
        baselines.save("one", stored(sa=1.2))
    assert list(Path(".attnbench/baselines").iterdir()) == []


def test_a_name_that_is_a_folder_too_is_refused(stored):
    baselines.save("run", stored("run", sa=1.2))
    with pytest.raises(UserError, match=r"'run' is a folder and a baseline; write \./run or"):
        baselines.find("run")
    assert baselines.find("./run") == Path("run")
    with pytest.raises(UserError, match="neither a folder nor a baseline 'other'; baselines: run"):
        baselines.find("other")


def test_later_runs_are_compared_with_a_baseline(stored, capsys):
    stored("old", sa=1.2)
    stored("new", sa=1.3)
    assert call("compare", "--save", "v1", "old") == 0
    assert "attnbench compare v1 NEW" in capsys.readouterr().out
    assert call("compare", "v1", "new") == 1
    assert "slower by more than 3%" in capsys.readouterr().out
    assert call("compare", "v1", "v1") == 0
    assert call("compare", "--save", "v2", "old", "new") == 2
    assert call("compare", "v1") == 2
