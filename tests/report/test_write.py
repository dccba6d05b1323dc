import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from attnbench import report
from attnbench.cli import app
from attnbench.errors import UserError
from attnbench.records import store
from attnbench.records.run import Run
from attnbench.report.plots import render
from attnbench.report.plots.drawing.canvas import Plot
from attnbench.report.tables import dataframe

PLOTS = (
    "latency_overhead",
    "paper_cost_against_latency",
    "memory_overhead",
)
SMALL_RUN = Path(__file__).parent.parent / "data" / "small-run"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(SMALL_RUN / "records.jsonl", tmp_path)
    return tmp_path


def test_the_stored_records_give_the_stored_tables(run: Run, folder: Path) -> None:
    report.write(run, folder)
    for name in ("comparison.md", "comparison.csv", "comparison.tex"):
        assert (folder / name).read_text() == (SMALL_RUN / name).read_text(), name


def test_every_plot_is_written_twice_and_the_same_each_time(run: Run, folder: Path) -> None:
    written = {path.name for path in report.write(run, folder)}
    for plot in PLOTS:
        assert {f"{plot}.png", f"{plot}.svg"} <= written
    first = (folder / "latency_overhead.svg").read_bytes()
    report.write(run, folder)
    assert (folder / "latency_overhead.svg").read_bytes() == first


def test_plots_say_of_which_setting_they_are_and_whether_the_control_held(
    run: Run, folder: Path
) -> None:
    setting = "resnet50, inference, batch 2, 224x224, float32, cpu"
    report.write(run, folder)
    assert f">{setting}<" in (folder / "latency_overhead.svg").read_text()
    report.write(replace(run, rounds=run.rounds[:5]), folder)  # too few for a control
    for plot in PLOTS:
        text = (folder / f"{plot}.svg").read_text()
        if plot == "memory_overhead":  # computed from shapes: no control can fail it
            assert f">{setting}<" in text
        else:
            assert f">{setting}; too noisy to judge<" in text


def test_the_setting_is_the_first_line(run: Run, folder: Path) -> None:
    case = replace(run.case, mode="training", channels_last=True, runtime="compile")
    report.write(replace(run, case=case), folder)
    setting = "resnet50, training, batch 2, 224x224, float32, channels last, compiled, cpu"
    assert (folder / "comparison.md").read_text().splitlines()[0] == f"{setting}."
    latex = (folder / "comparison.tex").read_text()
    assert latex.splitlines()[0] == f"% {setting}."
    assert latex.count(f"{setting}.") - 1 == latex.count(r"\caption{") == 7


def test_an_unwritable_folder_is_bad_input(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        report.write(run, tmp_path / "file" / "folder")


def test_reporting_does_not_import_torch(folder: Path) -> None:
    code = (
        "import sys\n"
        "from attnbench.cli.app import main\n"
        "try:\n"
        f"    main(['report', {str(folder)!r}])\n"
        "except SystemExit as stop:\n"
        "    assert not stop.code, stop.code\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_of_every_run_the_records_are_read_and_the_frame_is_computed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    read, frame = store.read, dataframe.frame
    monkeypatch.setattr(store, "read", lambda folder: (calls.append("read"), read(folder))[1])
    monkeypatch.setattr(
        dataframe, "frame", lambda run, **how: (calls.append("frame"), frame(run, **how))[1]
    )
    records = (SMALL_RUN / store.FILE_NAME).read_text()
    for name, year in (("one", "2026"), ("two", "2027")):
        (tmp_path / name).mkdir()
        begun = records.replace('"time":"2026', f'"time":"{year}')
        (tmp_path / name / store.FILE_NAME).write_text(begun)
    for folders, out in (([tmp_path / "one"], "one"), ([tmp_path], ".")):
        calls.clear()
        with pytest.raises(SystemExit):
            app.main(["report", *map(str, folders), "--out", str(tmp_path / out)])
        runs = 1 if out == "one" else 2
        assert (calls.count("read"), calls.count("frame")) == (runs, runs)


def test_a_plot_that_two_pages_show_is_drawn_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []
    for name, plot in render.PLOTS.items():

        def counted(*given: Any, name: str = name, plot: Plot = plot) -> Figure:
            drawn.append(name)
            return plot.draw(*given)

        monkeypatch.setitem(render.PLOTS, name, replace(plot, draw=counted))
    shutil.copytree(SMALL_RUN, tmp_path / "runs" / "one")
    with pytest.raises(SystemExit):
        app.main(["report", str(tmp_path / "runs")])
    assert sorted(drawn) == sorted(PLOTS)
    for page in (tmp_path / "runs", tmp_path / "runs" / "one"):
        assert (page / "report.html").read_text().count("<figure>") == len(PLOTS)
