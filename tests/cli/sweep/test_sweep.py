"""``attnbench sweep`` on this machine, with a program in the place of the one that measures."""

import sys
from pathlib import Path

import pytest
from helpers.command_line import call
from helpers.sweep_stub import MODULE_FAILS, OTHERS_THERE, REFUSED

from attnbench.sweeps import local
from attnbench.sweeps.course import Course
from attnbench.sweeps.device import process, slots
from attnbench.sweeps.folder import SweepFolder
from attnbench.sweeps.plan import file


@pytest.fixture(autouse=True)
def stub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(process, "COMMAND", [sys.executable, "-m", "helpers.sweep_stub"])
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setattr(slots, "_gpus", list)
    monkeypatch.chdir(tmp_path)


def written(*seeds: int, more: str = "") -> str:
    grid = f"[[grid]]\nmodules = ['se', 'sa']\nhost = 'resnet18'\nseed = {[*seeds]}\n{more}"
    Path("mine.toml").write_text(f"[defaults]\nimage-size = 32\nbudget = 10\n{grid}")
    return "mine.toml"


def test_a_sweep_is_measured_and_goes_on(capsys) -> None:
    assert call("sweep", written(1, REFUSED), "--out", "out") == 1
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0].startswith("0 of 2 done, 2 waiting; at most about ")
    assert "resnet18, inference, batch 1, 32x32, float32, seed 1" in lines[1]
    assert lines[-1] == "1 of 2 done, 1 failed. Records in out"
    assert shown.err.strip().endswith(": no such thing")
    assert call("sweep", "status", "out") == 1
    shown = capsys.readouterr().out
    assert "1 done, 1 failed of 2." in shown
    assert "no such thing" in shown
    # Without the one that fails nothing is left to do.
    assert call("sweep", written(1), "--out", "out") == 0
    assert "begins" not in capsys.readouterr().out
    assert call("sweep", "status", "out") == 0


def test_status_says_what_is_left_and_how_to_go_on(capsys) -> None:
    folder = SweepFolder(Path("out"))
    course = Course(file.read(Path(written(1, 2, 3))), folder, lambda _: 60.0)
    course.begin()
    course.start(course.waiting[1], local.here()[0])
    assert call("sweep", "status", "out") == 0
    shown = capsys.readouterr().out
    assert "2 waiting, 1 running of 3; what is left takes at most about 3 min 0 s" in shown
    assert "Nothing drives it" not in shown
    folder.close()
    assert call("sweep", "status", "out") == 0
    shown = capsys.readouterr().out
    assert "2 waiting, 1 interrupted of 3" in shown
    assert "Nothing drives it now: start it again with the same --out" in shown


def test_a_module_that_fails_gives_status_one_each_time(capsys) -> None:
    for _ in range(2):
        assert call("sweep", written(MODULE_FAILS), "--out", "out") == 1
    assert call("sweep", "status", "out") == 1
    assert "se failed (latency)" in capsys.readouterr().out


def test_a_dry_run_writes_nothing(capsys, tmp_path) -> None:
    name = written(1, 2, more="on = [{gpu = 'H100'}, {}]")
    assert call("sweep", name, "--dry-run") == 1
    shown = capsys.readouterr().out
    assert "4 configurations; nothing was written" in shown
    assert "2 configurations fit none of them." in shown
    assert "Modules: se, sa" in shown
    # Counts of 3 networks, memory of 3, warm-up of 4: 3 * 1.5 + 3 * 2.5 + 4 * 1 = 16 s; 10 s more.
    assert "On 1 device that is there now: at least about 32 s, at most about 52 s." in shown
    assert [path.name for path in tmp_path.iterdir()] == ["mine.toml"]
    assert call("sweep", "--host", "resnet18", "--batch-size", "1,2", "--dry-run") == 0
    assert "2 configurations;" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none.toml"], "cannot read none.toml"),
        (["bad.toml"], "bad.toml:2: unknown host 'vgg'"),
        (["status"], "cannot read status"),
        (["status", "nowhere"], "cannot read"),
        (["status", "nowhere", "--out", "x"], "sweep status takes one folder"),
        (["good.toml", "--out", "."], "holds other files and no sweep"),
        ([], "Missing argument 'FILE'"),
    ],
)
def test_bad_input_is_one_line_and_status_two(words, message, capsys) -> None:
    Path("bad.toml").write_text("[[grid]]\nhost = 'vgg'\n")
    Path("good.toml").write_text("[[grid]]\nhost = 'resnet18'\n")
    assert call("sweep", *words) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert len(shown.splitlines()) == 1


def test_a_new_folder_is_made_under_reports(capsys) -> None:
    assert call("sweep", written(1)) == 0
    (folder,) = Path("reports").iterdir()
    assert folder.name.endswith("-sweep-mine")
    assert f"Records in {folder}" in capsys.readouterr().out


def test_what_disturbed_a_run_is_told_as_it_is_done(capsys) -> None:
    """The stub's rounds are all alike, without a control's interval to doubt; a gap shows."""
    assert call("sweep", written(OTHERS_THERE), "--out", "out") == 0
    shown = capsys.readouterr().out
    assert "WARNING: after 6 rounds other processes were on the GPU." in shown
