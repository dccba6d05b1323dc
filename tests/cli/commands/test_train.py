"""``train`` on a task of a few pixels, as a user sees it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers import small_detection, small_training
from helpers.command_line import call

from attnbench.cli.commands import train as command
from attnbench.hosts.build import HOSTS, Host
from attnbench.records.trainings import store
from attnbench.report.formats import trainings
from attnbench.system.machine_lock import Turn
from attnbench.training import options as command_options

SMALL = ["--data", "digits", "--host", "resnet18", "--set", "epochs=2", "--set", "batch_size=8"]
SMALL += ["--threads", "1", "--device", "cpu", "--seeds", "2"]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    small_training.use(monkeypatch)
    monkeypatch.setattr(small_training, "SIDE", 32)  # the least that the command takes


@pytest.fixture
def no_gain_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plots have tests of their own and take a second."""
    monkeypatch.setattr(trainings, "_drawn", lambda *_: [])


def test_train_shows_the_answer_and_resumes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    arguments = [*SMALL, "--modules", "eca", "--out", out]
    assert call("train", *arguments) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "3 networks with 2 seeds each: 12 epochs to train" in shown
    assert "eca seed 1: top1 " in shown
    assert "Gain in top-1 over the plain host at equal training" in shown
    assert "papers print the best epoch" in shown
    assert {path.name for path in Path(out).iterdir()} == {
        "trainings.jsonl",
        "trainings.md",
        "trainings.tex",
        "gain.png",
        "gain.svg",
        "report.html",
        "checkpoints",
    }
    assert len(list((Path(out) / "checkpoints").iterdir())) == 6
    # The same again, by what the folder holds alone.
    before = (Path(out) / "trainings.jsonl").read_bytes()
    assert call("train", "--data", "digits", "--out", out) == 0
    assert "0 epochs to train" in " ".join(capsys.readouterr().out.split())
    assert (Path(out) / "trainings.jsonl").read_bytes() == before
    page = (Path(out) / "report.html").read_text()
    assert "Does it help?" in page
    assert "attnbench train --data squares" in page
    (Path(out) / "report.html").unlink()
    assert call("report", out) == 0
    assert (Path(out) / "report.html").read_text() == page


def test_a_busy_machine_is_named_and_can_be_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measuring = Turn()
    assert measuring.take() is None
    out = tmp_path / "out"
    try:
        arguments = [*SMALL, "--modules", "eca", "--out", str(out)]
        assert call("train", *arguments, "--no-wait") == 2
    finally:
        measuring.end()
    assert "measures on this machine; --no-wait does not wait for it" in " ".join(
        capsys.readouterr().err.split()
    )
    assert not out.exists()
    assert call("train", *arguments, "--no-wait", "--share") == 2
    assert "--no-wait and --share contradict each other" in capsys.readouterr().err


def test_waiting_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    progress = command.TrainingProgress(command.output.console())
    for _ in range(3):
        progress.waiting("process 3 (attnbench run, since 9:00), which measures on this machine")
    shown = " ".join(capsys.readouterr().err.split())
    assert shown.count("waiting for process 3") == 1
    assert "--share" in shown
    assert "--no-wait" in shown


@pytest.mark.usefixtures("no_gain_plots")
def test_an_interrupt_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    @contextmanager
    def deferred() -> Iterator[Callable[[], bool]]:
        yield lambda: asked.append(0) or len(asked) > 5

    with monkeypatch.context() as patched:
        patched.setattr(command.INTERRUPTS, "deferred", deferred)
        out = str(tmp_path / "out")
        assert call("train", *SMALL, "--modules", "eca", "--out", out) == 130
    error = capsys.readouterr().err
    assert error == (
        f"attnbench: interrupted; resume with: attnbench train --data digits --out {out}\n"
    )
    assert call("train", "--data", "digits", "--out", out) == 0
    assert store.read(Path(out)).finished("eca", 1)


@pytest.mark.parametrize(
    ("processes", "of_this_machine", "words"),
    [
        (1, 1, ""),
        (8, 8, "torchrun --nproc-per-node 8 -m "),
        (16, 8, "torchrun --nproc-per-node 8 --nnodes 2 ... -m "),
    ],
)
def test_resuming_is_said_with_torchrun(
    processes: int, of_this_machine: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(of_this_machine))
    again = command._again(command_options.TrainOptions(data="digits"), Path("out"))
    assert again == f"{words}attnbench train --data digits --out out"
    sharing = command_options.TrainOptions(data="digits", if_busy="share")
    assert command._again(sharing, Path("out")).endswith("--data digits --share --out out")


@pytest.mark.usefixtures("no_gain_plots")
def test_a_named_module_that_does_not_fit_is_left_out_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """SA's 64 groups of two halves, and SGE's deviation of a map of one position."""
    # The networks are the real ones here, of one block a stage; only what is trained is not.
    monkeypatch.setitem(HOSTS, "resnet18", Host((1, 1, 1, 1), block=HOSTS["resnet18"].block))
    network = small_training.Classification.network
    monkeypatch.setattr(
        small_training.SmallTask,
        "network",
        lambda self, variant: (
            network(self, variant) if variant in {"sa", "sge"} else small_training.Net(variant)
        ),
    )
    arguments = [*SMALL, "--modules", "sa,sge,eca", "--set", "epochs=1"]
    arguments.remove("epochs=2")
    arguments.remove("--set")
    assert call("train", *arguments, "--out", str(tmp_path / "out")) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("attnbench: sa is left out: ")
    assert "64 channels do not divide by 128" in lines[0]
    assert lines[1].startswith("attnbench: sge is left out: its network gives no finite loss")
    assert "smallest map is 1x1" in lines[1]
    assert store.read(tmp_path / "out").training.variants == ("plain", "control", "eca")
    alone = [*SMALL, "--modules", "sa", "--out", str(tmp_path / "no")]
    assert call("train", *alone) == 2
    assert not (tmp_path / "no").exists()


def test_a_batch_that_does_not_fit_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", "digits", "--modules", "eca", "--host", "resnet18"]
    assert call("train", *arguments, "--out", str(tmp_path / "no")) == 2
    error = capsys.readouterr().err
    assert "a batch of 64 is more than the 20 training images of squares" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "no").exists()


def test_autocast_computes_in_no_integers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("train", "--data", "digits", "--amp", "int8", "--out", str(tmp_path / "no")) == 2
    error = capsys.readouterr().err
    assert "--amp: 'int8' is not one of float32, bfloat16, float16" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        (["--host", "maskrcnn_resnet50_fpn", "--data", "none"], "no annotations in a layout"),
        (["--host", "maskrcnn_resnet50_fpn", "--data", "digits"], "digits have no boxes"),
        (["--recipe", "1x", "--data", "digits"], "recipe 1x is of detection"),
        (["--at", "layer1.*", "--replace", "squeeze-excite", "--data", "digits"], "leave one out"),
        (["--replace", "conv", "--data", "digits"], "unknown kind to replace 'conv'"),
        (["--backbone", "w.pth", "--data", "digits"], "--backbone goes with a detector"),
    ],
)
def test_options_that_do_not_go_together_are_one_line(
    stated: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("train", *stated, "--out", str(tmp_path / "no")) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "no").exists()


def test_an_interrupted_detector_names_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextmanager
    def deferred() -> Iterator[Callable[[], bool]]:
        yield lambda: True

    small_detection.use(monkeypatch, tmp_path)
    monkeypatch.setattr(command.INTERRUPTS, "deferred", deferred)
    one, two, out = tmp_path / "one", tmp_path / "two", tmp_path / "out"
    files = ["--annotations", f"{one}/annotations.json", "--val-data", f"{two}/images"]
    files += ["--val-annotations", f"{two}/annotations.json"]
    arguments = ["--host", "fasterrcnn_resnet50_fpn", "--data", f"{one}/images", *files]
    arguments += ["--modules", "eca", "--set", "batch_size=2", "--device", "cpu", "--threads", "1"]
    assert call("train", *arguments, "--out", str(out)) == 130
    assert capsys.readouterr().err == (
        f"attnbench: interrupted; resume with: attnbench train --data {one}/images "
        f"{' '.join(files)} --out {out}\n"
    )
