import json
import multiprocessing
import re
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from helpers.command_line import SMALL_RUN, call
from helpers.prepared import completed
from helpers.processes import die_at_record

import attnbench
from attnbench.cli.run import faults
from attnbench.devices.table import KINDS
from attnbench.measuring import runner
from attnbench.measuring.events import Planned
from attnbench.measuring.runner import Measured, Progress
from attnbench.measuring.steps import counting
from attnbench.records import store
from attnbench.records.case import RunOptions
from attnbench.records.run import read
from attnbench.records.schema import Counts, End, Memory, Record, Round

SMALL = ["--modules", "se", "--image-size", "32", "--budget", "0.05", "--device", "cpu"]
SMALL_HOST = ["--host", "resnet18"]  # in other processes, which do not see the fixture small_host


@pytest.fixture(scope="module")
def counts() -> Callable[..., object]:
    return cache(counting.count_network)


@pytest.fixture(autouse=True)
def counted_once(monkeypatch: pytest.MonkeyPatch, counts: Callable[..., object]) -> None:
    """A network of one configuration is counted for the first test that needs it, for real."""
    monkeypatch.setattr(counting, "count_network", counts)


def kinds(folder: Path) -> list[type]:
    return [type(record.results) for record in store.read(folder)]


@pytest.mark.usefixtures("small_host", "one_process")
def test_the_main_job_small_leaves_records_tables_and_plots(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    # Without a command: run.
    assert call(*SMALL, "--out", str(folder)) == 0
    stored = kinds(folder)
    assert stored.count(Counts) == stored.count(Memory) == 2
    assert stored.count(Round) >= 1
    assert stored[-1] is End
    names = {path.name for path in folder.iterdir()}
    assert {"comparison.md", "comparison.csv", "comparison.tex"} <= names
    assert {"latency_overhead.png", "memory_overhead.svg"} <= names
    shown = capsys.readouterr().out
    # One block a stage: reductions and biases of 256, 512, 1024 and 2048 channels.
    added = sum(2 * c * (c // 16) + c + c // 16 for c in (256, 512, 1024, 2048))
    assert f"+{added:,}" in shown
    assert "Control (plain against plain)" in shown
    assert "At most 0 s of timed rounds; counts, memory and warm-up before them take about" in shown
    assert re.search(r"About \d+ rounds? fits? into the budget", shown)
    assert re.search(r"It took (\d+ min )?\d+ s, of which \d+ s in timed rounds", shown)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for again in (SMALL, [], ["--modules", "SE"]):
        assert call("run", *again, "--out", str(folder)) == 0
        assert capsys.readouterr().out.startswith(f"already finished: {folder}; show it with:")
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert call("run", "--modules", "sa", "--out", str(folder)) == 2
    assert "modules is se there and sa here" in capsys.readouterr().err


@pytest.mark.usefixtures("one_process", "no_plots")
def test_a_killed_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    killed_after = 3  # the plan and two lines of counts
    arguments = [*SMALL, *SMALL_HOST, "--out", str(folder)]
    assert completed(die_at_record, killed_after, arguments).returncode == -signal.SIGKILL
    before = (folder / store.FILE_NAME).read_text()
    assert before.count("\n") == killed_after
    assert call("run", "--out", str(folder)) == 0
    after = (folder / store.FILE_NAME).read_text()
    assert after.startswith(before)
    stored = kinds(folder)
    assert stored.count(Counts) == stored.count(Memory) == 2
    assert stored[-1] is End


@pytest.mark.usefixtures("small_host", "one_process", "no_plots")
def test_a_variant_that_fails_is_a_record_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    # SK's squeezed vector has a batch norm, which one image cannot train.
    arguments = ["--modules", "sk,se", "--mode", "training", *SMALL[4:], "--image-size", "64"]
    # On a busy machine a run would also say that it waits.
    assert call(*arguments, "--wait-for-quiet", "0", "--out", str(folder)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("attnbench: sk failed (memory, latency) in resnet50, training, batch 1")
    assert "more than 1 value per channel" in line
    failures = [record for record in store.read(folder) if record.error]
    assert {record.variant for record in failures} == {"sk"}
    assert {record.error.step for record in failures} == {"counts", "memory", "latency"}
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
    patient = [*SMALL[:4], *SMALL_HOST, "--budget", "60", "--device", "cpu"]
    assert call(*patient, "--out", str(tmp_path / "run")) == 1
    end = store.read(tmp_path / "run")[-1].results
    assert isinstance(end, End)
    assert (end.reason, end.rounds) == ("failed", 1)
    assert (
        "the worker process was killed (SIGKILL), possibly because memory ran out"
        in capsys.readouterr().out
    )
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
    assert f"resume with: attnbench run --out {folder}" in capsys.readouterr().err
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
    small = replace(KINDS["cpu"], copy_bytes=2**16, product_size=64)
    monkeypatch.setitem(KINDS, "cpu", small)
    arguments = ["--modules", "eca", "--isolated", *SMALL[2:]]
    assert call(*arguments, "--out", str(tmp_path / "run")) == 0
    shown = capsys.readouterr().out
    assert "Ceilings of this machine" in shown
    assert "256x8x8" in shown
    assert "2048x1x1" in shown
    assert (tmp_path / "run" / "roofline.png").exists()


@pytest.mark.usefixtures("no_plots")
@pytest.mark.parametrize(
    ("modules", "status"),
    [([], 0), (["--modules", "ALL"], 0), (["--modules", "sa,SK"], 1), (["--module", "sk"], 1)],
)
def test_what_is_left_out_is_a_failure_only_where_it_was_named(
    modules: list[str],
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What fits a host is that of tests/measuring/test_planning.py; here a run is made up."""
    shutil.copy(SMALL_RUN / store.FILE_NAME, tmp_path)
    finished, left_out = read(tmp_path), {"sk": "its site is missing"}
    finished.failures.clear()

    def measure(_options: RunOptions, _out: Path, progress: Progress) -> Measured:
        for _ in range(2):  # configurations
            progress(finished, Planned(tmp_path, left_out))
        return Measured((finished,), tmp_path, left_out)

    monkeypatch.setattr(runner, "run", measure)
    assert call("run", *modules, "--host", "resnet18", "--out", str(tmp_path / "new")) == status
    assert capsys.readouterr().err == "attnbench: sk is left out: its site is missing\n"


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


def test_records_that_another_process_has_changed_are_told(stored, tmp_path: Path) -> None:
    stored("run", sa=1.1)
    folder = tmp_path / "run"
    run = read(folder)
    assert list(faults.changed([run], [folder])) == []
    first, *later = run.rounds
    run.rounds[0] = replace(first, number=first.number + 1)
    (message,) = faults.changed([run], [folder])
    assert "another process has changed the records in" in message
    assert "(rounds)" in message
    run.rounds = [first, *later]
    run.counts.popitem()
    assert "(counts)" in next(faults.changed([run], [folder]))


def test_a_dry_run_writes_nothing_and_json_is_alone_on_standard_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wanted = [*SMALL, "--processes", "6", "--repeat", "2", "--every", "3", "--dry-run"]
    assert call("run", *wanted) == 0
    shown = capsys.readouterr().out
    assert "resnet50, inference, batch 1, 32x32, float32, cpu: 2 runs" in shown
    assert "Variants: plain, control, se" in shown
    assert "Records would be in a new folder under reports/" in shown
    # A run: counts and memory of two networks (8 s), their statistics (2 s), six warm-ups of three
    # (12.6 s), five starts of further processes (20 s). Twice 42.6 s and 0.05 s, after the three
    # minutes between the runs.
    assert "At least about 3 min 0 s, at most about 4 min 25 s" in shown
    assert call("run", *wanted, "--format", "json") == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["dry_run"], data["configurations"][0]["runs"]) == (True, 2)
    assert data["least"] == {"value": 180.0, "unit": "s"}
    assert list(tmp_path.iterdir()) == []


def test_a_finished_run_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    shutil.copytree(SMALL_RUN, folder)
    assert call("run", "--out", str(folder), "--format", "json") == 0
    captured = capsys.readouterr()
    assert captured.err.startswith(f"already finished: {folder}")
    data = json.loads(captured.out)
    (configuration,) = data["configurations"]
    assert (data["finished"], configuration["runs"][0]["folder"]) == (True, str(folder))
    rows = {row["variant"]: row for row in configuration["variants"]}
    frame = attnbench.read(folder).set_index("variant")
    timed = [name for name in ("se", "sa", "eca") if name in frame["ratio"].dropna()]
    assert timed
    for name in timed:
        latency = rows[name]["ratio_between_runs"]
        assert latency["low"] <= latency["value"] == frame.loc[name, "ratio"] <= latency["high"]
        assert rows[name]["added_params"]["value"] == frame.loc[name, "added_params"]
