import pickle
import shutil
from pathlib import Path

import pytest
from helpers import colours
from helpers.command_line import SMALL_RUN, call

from attnbench.accuracy import evaluate, images
from attnbench.records import evaluation, store
from attnbench.system.machine_lock import Turn


@pytest.fixture
def of_colours(tmp_path: Path) -> list[str]:
    """Weights and images whose right answers are known, as options."""
    weights = colours.weights(tmp_path / "colours.pth")
    data = colours.folder(tmp_path / "images")
    sizes = ["--image-size", colours.SIZE, "--device", "cpu", "--threads", "1"]
    return ["--weights", str(weights), "--data", str(data), *sizes]


@pytest.mark.usefixtures("small_host")
def test_evaluate_counts_shows_and_records(
    tmp_path: Path, of_colours: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new"
    assert call("evaluate", *of_colours, "--out", str(folder)) == 0
    shown = capsys.readouterr().out
    assert "plain in resnet50 with colours.pth; 9 images in 7 class folders" in shown
    assert "44.444 [18.878, 73.335]" in shown  # 4 of 9
    assert "for orientation only" in shown
    assert {path.name for path in folder.iterdir()} == {
        "evaluations.jsonl",
        "comparison.md",
        "comparison.tex",
        "report.html",
    }
    # Once more into the same folder, and its report again.
    assert call("evaluate", *of_colours, "--dtype", "bfloat16", "--out", str(folder)) == 0
    assert [stored.dtype for stored in evaluation.read(folder)] == ["float32", "bfloat16"]
    (folder / "report.html").unlink()
    assert call("report", str(folder)) == 0
    assert (folder / "report.html").exists()


@pytest.mark.usefixtures("small_host", "no_plots")
def test_an_evaluation_and_a_measurement_keep_each_other_waiting(
    tmp_path: Path,
    of_colours: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measuring, seen, out = Turn(), [], tmp_path / "new"
    assert measuring.take() is None
    assert call("evaluate", *of_colours, "--out", str(out), "--no-wait") == 2
    assert "measures on this machine; --no-wait" in " ".join(capsys.readouterr().err.split())
    assert not out.exists()
    measuring.end()
    checked = evaluate._checked
    monkeypatch.setattr(
        evaluate, "_checked", lambda *given: seen.append(measuring.take()) or checked(*given)
    )
    assert call("evaluate", *of_colours, "--out", str(out)) == 0
    (holder,) = seen
    assert holder.work == "evaluates"
    assert measuring.take() is None
    measuring.end()


@pytest.mark.usefixtures("small_host", "no_plots")
def test_an_evaluation_in_a_runs_folder_is_part_of_its_report(
    tmp_path: Path, of_colours: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run, apart = tmp_path / "run", tmp_path / "apart"
    run.mkdir()
    shutil.copy(SMALL_RUN / store.FILE_NAME, run)
    assert call("evaluate", *of_colours, "--out", str(run)) == 0
    assert "44.444" in (run / "comparison.md").read_text()
    assert "1.200" in (run / "comparison.md").read_text()  # SA's ratio is there as before
    assert call("evaluate", *of_colours, "--out", str(apart)) == 0
    before = (run / "comparison.md").read_text()
    for folders in ([run, apart], [apart, run]):
        joint = tmp_path / f"joint-{folders[0].name}"
        assert call("report", *map(str, folders), "--out", str(joint)) == 0
        assert (joint / "comparison.md").read_text().count("plain in resnet50: of 9 images") == 2
    assert (run / "comparison.md").read_text() == before
    capsys.readouterr()
    assert call("report", str(tmp_path)) == 0  # one run in a folder of folders
    assert (tmp_path / "grid.md").read_text().count("plain in resnet50: of 9 images") == 2


@pytest.mark.usefixtures("small_host")
def test_an_interrupted_evaluation_leaves_nothing(
    tmp_path: Path,
    of_colours: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(images, "right", interrupt)
    assert call("evaluate", *of_colours, "--out", str(tmp_path / "new")) == 130
    assert capsys.readouterr().err == "attnbench: interrupted; nothing was written\n"
    assert not (tmp_path / "new").exists()


@pytest.mark.usefixtures("small_host")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--module", "sa"], "do not fit the network; missing: layer1.0.sa"),
        (["--module", "nothing"], "unknown attention module 'nothing'"),
        (["--module", "a:B", "--import-root", "no"], "there is no folder 'no' to import from"),
        (["--import-root", "no"], "--import-root goes with a module of a package or file"),
        (["--host", "alexnet"], "evaluate does not read the weights of alexnet; hosts it reads"),
        (["--host", "resnet51"], "unknown classifier 'resnet51'"),
        (["--dtype", "int4"], "--dtype: 'int4' is not one of"),
        (["--dtype", "int8"], "eager does not compute in int8; known: float32, bfloat16, float16"),
        (["--batch-size", "0"], "batch_size must be at least 1"),
        (["--batch-size", "many"], "'--batch-size'"),
        (["--data", "nowhere"], "cannot take images from nowhere"),
        (["--weights", "nothing.pth"], "cannot read nothing.pth"),
    ],
)
def test_bad_evaluations_are_one_line_and_leave_nothing(
    tmp_path: Path,
    of_colours: list[str],
    options: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call("evaluate", *of_colours, *options, "--out", str(tmp_path / "new")) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.usefixtures("small_host")
def test_code_in_weights_is_not_run(
    tmp_path: Path, of_colours: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    class Attack:
        def __reduce__(self) -> tuple[object, ...]:
            return (exec, ("raise SystemExit('code from a file was run')",))

    (tmp_path / "attack.pth").write_bytes(pickle.dumps({"fc.weight": Attack()}))
    assert call("evaluate", *of_colours, "--weights", str(tmp_path / "attack.pth")) == 2
    assert "holds no weights that are safe to read" in capsys.readouterr().err
