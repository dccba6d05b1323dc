import json
import multiprocessing
import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import colours

from attnbench.accuracy import images
from attnbench.claims import check
from attnbench.claims import claim as claims
from attnbench.cli.app import main
from attnbench.measuring import isolated, selftest
from attnbench.records import evaluation, store
from attnbench.records.schema import Counts, End, Memory, Record, Round
from attnbench.report.plots import render

ROOT = Path(__file__).parents[2]
SMALL = ["--modules", "se", "--image-size", "32", "--budget", "0.2", "--device", "cpu"]


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where plots are not the point: they take longer than everything else."""
    monkeypatch.setattr(render, "PLOTS", {})


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    return int(stop.value.code or 0)


def kinds(folder: Path) -> list[type]:
    return [type(record.results) for record in store.read(folder)]


@pytest.mark.usefixtures("small_host", "one_process")
def test_the_main_job_small_leaves_records_tables_and_plots(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    # Without a command: run.
    assert call(*SMALL, "--out", str(folder)) == 0
    found = kinds(folder)
    assert found.count(Counts) == found.count(Memory) == 2
    assert found.count(Round) >= 1
    assert found[-1] is End
    names = {path.name for path in folder.iterdir()}
    assert {"comparison.md", "comparison.csv", "comparison.tex"} <= names
    assert {"latency_overhead.png", "memory_overhead.svg"} <= names
    shown = capsys.readouterr().out
    # One block a stage: reductions and biases of 256, 512, 1024 and 2048 channels.
    added = sum(2 * c * (c // 16) + c + c // 16 for c in (256, 512, 1024, 2048))
    assert f"+{added:,}" in shown
    assert "Control (plain against plain)" in shown
    assert call(*SMALL, "--out", str(folder)) == 2  # it is finished
    assert "finished run" in capsys.readouterr().err


@pytest.mark.usefixtures("small_host", "one_process", "no_plots")
def test_a_killed_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    killed_after = 3  # the plan and two lines of counts
    code = (
        "import os\n"
        "from attnbench.records import store\n"
        "from attnbench.cli.app import main\n"
        "append, lines = store.append, []\n"
        "def append_and_die(folder, record):\n"
        "    append(folder, record)\n"
        "    lines.append(record)\n"
        f"    if len(lines) == {killed_after}:\n"
        "        os.kill(os.getpid(), 9)\n"
        "store.append = append_and_die\n"
        f"main({[*SMALL, '--out', str(folder)]!r})\n"
    )
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert killed.returncode == -9
    before = (folder / store.FILE_NAME).read_text()
    assert before.count("\n") == killed_after
    assert call("run", "--out", str(folder)) == 0
    after = (folder / store.FILE_NAME).read_text()
    assert after.startswith(before)
    found = kinds(folder)
    assert found.count(Counts) == found.count(Memory) == 2
    assert found[-1] is End


@pytest.mark.usefixtures("small_host", "one_process", "no_plots")
def test_a_variant_that_fails_is_a_record_and_the_others_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    # SK's squeezed vector has a batch norm, which one image cannot train.
    arguments = ["--modules", "sk,se", "--mode", "training", *SMALL[4:], "--image-size", "64"]
    assert call(*arguments, "--out", str(folder)) == 0
    failures = [record for record in store.read(folder) if record.error]
    assert {record.variant for record in failures} == {"sk"}
    assert {record.error.step for record in failures} == {"memory", "latency"}
    assert all("more than 1 value per channel" in record.error.message for record in failures)
    rounds = [r.results for r in store.read(folder) if isinstance(r.results, Round)]
    assert {block.variant for block in rounds[0].blocks} == {"plain", "control", "se"}


@pytest.mark.usefixtures("no_plots")
def test_a_child_that_is_killed_is_in_the_records_and_the_run_ends_with_its_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    append = store.append

    def append_and_kill(folder: Path, record: Record) -> None:
        append(folder, record)
        if isinstance(record.results, Round):
            for child in multiprocessing.active_children():
                child.kill()

    monkeypatch.setattr(store, "append", append_and_kill)
    patient = [*SMALL[:4], "--budget", "60", "--device", "cpu"]
    assert call(*patient, "--out", str(tmp_path / "run")) == 1
    end = store.read(tmp_path / "run")[-1].results
    assert isinstance(end, End)
    assert (end.reason, end.rounds) == ("failed", 1)
    assert "its process was killed, perhaps for want of memory" in capsys.readouterr().out
    assert (tmp_path / "run" / "comparison.md").exists()


@pytest.mark.usefixtures("small_host", "one_process", "no_plots")
def test_an_interrupted_run_keeps_what_is_finished_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    append = store.append

    def append_and_interrupt(folder: Path, record: Record) -> None:
        append(folder, record)
        if isinstance(record.results, Round):
            raise KeyboardInterrupt

    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(store, "append", append_and_interrupt)
        assert call(*SMALL, "--out", str(folder)) == 130
    assert f"go on with: attnbench run --out {folder}" in capsys.readouterr().err
    assert kinds(folder)[-1] is Round
    assert call("--out", str(folder)) == 0
    assert kinds(folder)[-1] is End


@pytest.mark.usefixtures("small_host", "one_process", "no_plots")
def test_a_grid_is_a_folder_of_runs_and_a_table_of_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = ["--modules", "se", "--image-size", "32", "--batch-size", "2", "--budget", "0.05"]
    grid += ["--threads", "1"]
    folder = tmp_path / "grid"
    assert call(*grid, "--mode", "inference,training", "--out", str(folder)) == 0
    names = [f"{mode}-float32-b2-32" for mode in ("inference", "training")]
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == names
    assert all((folder / name / "comparison.md").exists() for name in names)
    shown = capsys.readouterr().out
    assert "Latency of the backward" in shown
    assert shown.count("Latency ratio to the plain host of the same configuration") == 1
    assert len((folder / "grid.csv").read_text().splitlines()) == 1 + 2 * 3
    before = (folder / "grid.md").read_text()
    assert call("report", str(folder)) == 0
    assert (folder / "grid.md").read_text() == before


@pytest.mark.usefixtures("small_host", "one_process")
def test_modules_alone_are_shown_beside_the_ceilings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(isolated.COPY_BYTES, "cpu", 2**16)
    monkeypatch.setitem(isolated.PRODUCT_SIZE, "cpu", 64)
    arguments = ["--modules", "eca", "--isolated", *SMALL[2:]]
    assert call(*arguments, "--out", str(tmp_path / "run")) == 0
    shown = capsys.readouterr().out
    assert "Ceilings of this machine" in shown
    assert "256x8x8" in shown
    assert "2048x1x1" in shown
    assert (tmp_path / "run" / "roofline.png").exists()


def test_compare_ends_badly_where_a_slowdown_is_significant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ROOT / "tests/data/small-run"
    text = (small / store.FILE_NAME).read_text()
    slower = re.sub(
        r'("variant":"sa","steps":\d+,"seconds":)([\d.]+)',
        lambda found: f"{found[1]}{float(found[2]) * 1.1}",
        text,
    )
    assert slower != text
    (tmp_path / store.FILE_NAME).write_text(slower)
    assert call("compare", str(small), str(tmp_path)) == 1
    shown = capsys.readouterr()
    assert "slower by more than 3.0%" in shown.out
    assert shown.err.startswith("attnbench: sa ")
    assert call("compare", str(small), str(tmp_path), "--fail-above", "15%") == 0
    assert call("compare", str(small), str(small)) == 0


SMALL_RUN = ROOT / "tests/data/small-run"


@pytest.mark.parametrize(
    ("limit", "status", "said"),
    [
        (["--max-overhead", "50%"], 0, "Within the limits: sa."),
        (["--max-overhead", "5%"], 1, "Nothing is surely within the limits."),
        (["--max-added-params", "708", "--max-memory", "0.5"], 0, "Within the limits: sa."),
    ],
)
def test_pick_answers_in_words_and_with_its_status(
    limit: list[str], status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("pick", *limit, str(SMALL_RUN)) == status
    assert said in capsys.readouterr().out
    assert call("pick", *limit, "--format", "json", str(SMALL_RUN)) == status
    assert json.loads(capsys.readouterr().out)["runs"] == 1


@pytest.mark.usefixtures("no_plots")
def test_runs_of_several_folders_have_a_page_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [tmp_path / name for name in ("laptop", "server")]
    for folder in folders:
        shutil.copytree(SMALL_RUN, folder)
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


def test_selftest_says_what_it_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(selftest, "MACHINES", {"calm": {}})
    assert call("selftest", "--simulated", "20", "--real", "0") == 0
    assert "interval holds 1" in capsys.readouterr().out
    monkeypatch.setattr(selftest, "FOUND", 1.1)  # more than there are
    assert call("selftest", "--simulated", "20", "--real", "0") == 1
    assert "calm: 20 of 20 runs find +2%; at least 22 must" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--modules", "foo"], "unknown attention module 'foo'; known: se, cbam"),
        (["--modules", "plain"], "no module can have the name 'plain'"),
        (["--module", "control"], "no module can have the name 'control'"),
        (["--module", "copy again", "--isolated"], "no module can have the name 'copy again'"),
        (["list", "--module", "launch"], "no module can have the name 'launch'"),
        (["--modules", ","], "--modules names none"),
        (["--image-size", "16"], "image_size 16 is too small"),
        (["--dtype", "int8"], "'int8' is not one of"),
        (["--mode", "inference,sleeping"], "'sleeping' is not one of"),
        (["--batch-size", "1,,2"], "--batch-size: '1,,2' is no number"),
        (["--cuda-graph", "--device", "cpu"], "--cuda-graph needs a CUDA device"),
        (["--isolated", "--compile"], "--isolated times the eager forward"),
        (["compare", "/nonexistent", "/nonexistent"], "cannot read"),
        (["compare", "a"], "NEW"),
        (["compare", "a", "b", "--fail-above", "x"], "'x' is no share"),
        (["compare", "a", "b", "--format", "junit"], "is not one of 'text', 'json', 'github'"),
        (["selftest", "--simulated", "3"], "--simulated"),
        (["--batch-size", "x"], "--batch-size"),
        (["--bogus"], "No such option"),
        (["frobnicate"], "No such command 'frobnicate'"),
        (["report", "/nonexistent"], "cannot read"),
        (["report"], "DIR"),
        (["check", "--only", "foo"], "no computable claim matches 'foo'"),
        (["check", "--budget", "/nonexistent"], "cannot read"),
        (["check", "--only", "a", "--budget", "b"], "does not go with --budget"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("attnbench: ")
    assert error.count("\n") == 1


def test_cuda_without_a_device_is_bad_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert call("--device", "cuda") == 2
    assert "no CUDA device" in capsys.readouterr().err


def test_an_unwritable_folder_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert call(*SMALL, "--out", str(tmp_path / "file" / "run")) == 2
    assert "cannot write to" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no records"),
        ("hello\n\n", "line 1: not JSON"),
        ('{"a": 1}\n', "line 1: not an attnbench record"),
        ('{"schema": 99}\n', "line 1: schema 99; this attnbench reads schema 2 and 3"),
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
    lines = (ROOT / "tests/data/small-run/records.jsonl").read_text().splitlines(keepends=True)
    lines[8] = lines[8].replace('"seconds":0.2', '"seconds":-0.2', 1)
    (tmp_path / store.FILE_NAME).write_text("".join(lines))
    assert call("report", str(tmp_path)) == 2
    assert "line 9: results.round.blocks.0" in capsys.readouterr().err


def test_check_prints_both_numbers_and_ends_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("check", "--only", "sa-abstract-*") == 0
    shown = capsys.readouterr().out
    for figure in ("300", "708", "2.76e-3", "2,759,680"):
        assert figure in shown


def test_check_names_what_has_changed_and_ends_badly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = [claims.Finding(claim, 709) for claim in claims.select("sa-abstract-module-params")]
    monkeypatch.setattr(check, "check", lambda _: changed)
    assert call("check") == 1
    shown = capsys.readouterr()
    assert "NO: contradicted, 708" in shown.out
    assert "stated 300, computed 709" in shown.err


def test_check_speaks_to_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("check", "--only", "eca-module-*", "--format", "json") == 0
    (outcome,) = json.loads(capsys.readouterr().out)
    assert (outcome["name"], outcome["computed"]) == ("eca-module-params", "80")


def test_check_holds_a_budget(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    budget = tmp_path / "budget.txt"
    budget.write_text("sa in resnet50: added params <= 708\n")
    assert call("check", "--budget", str(budget)) == 0
    budget.write_text("sa in resnet50: added params <= 300\n")
    assert call("check", "--budget", str(budget)) == 1
    assert "over by 408" in capsys.readouterr().out


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
    budget = tmp_path / "budget.txt"
    budget.write_text("loud.py:Loud in resnet18: added params <= 0, executed kernels <= 0\n")
    assert call("check", "--budget", str(budget), "--format", "json") == 1
    found = json.loads(capfd.readouterr().out)
    assert [outcome["holds"] for outcome in found] == [True, False]


def test_list_and_help_answer_without_torch() -> None:
    code = (
        "import sys\n"
        "from attnbench.cli.app import main\n"
        "for arguments in (['list'], ['--help'], ['run', '--help']):\n"
        "    try:\n"
        "        main(arguments)\n"
        "    except SystemExit as stop:\n"
        "        assert not stop.code\n"
        "assert not {'torch', 'pandas', 'matplotlib'} & set(sys.modules)\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout
    assert "Shuffle Attention" in shown
    assert "2102.00240" in shown
    assert "--channels-last" in shown


def test_run_bench_is_the_same_command_line() -> None:
    shown = subprocess.run(
        [sys.executable, ROOT / "run_bench.py", "--version"],
        check=True,
        capture_output=True,
        text=True,
        cwd=os.sep,
    ).stdout
    assert shown.startswith("attnbench ")


def test_records_are_plain_json_lines() -> None:
    text = (ROOT / "tests/data/small-run/records.jsonl").read_text()
    keys = {"schema", "case", "variant", "results", "environment", "error"}
    assert all(set(json.loads(line)) == keys for line in text.splitlines())


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
    assert [each.dtype for each in evaluation.read(folder)] == ["float32", "bfloat16"]
    (folder / "report.html").unlink()
    assert call("report", str(folder)) == 0
    assert (folder / "report.html").exists()


@pytest.mark.usefixtures("small_host", "no_plots")
def test_an_evaluation_in_a_runs_folder_is_part_of_its_report(
    tmp_path: Path, of_colours: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run, apart = tmp_path / "run", tmp_path / "apart"
    run.mkdir()
    shutil.copy(ROOT / "tests" / "data" / "small-run" / "records.jsonl", run)
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
        (["--host", "alexnet"], "no classifier 'alexnet' is known"),
        (["--dtype", "int8"], "--dtype: 'int8' is not one of"),
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
