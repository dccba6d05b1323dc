"""Evaluated detectors in a report: tables, files and page, alone and in the folder of a run."""

import shutil
from pathlib import Path

import pytest
from helpers import coco
from helpers.command_line import SMALL_RUN, call

from attnbench.records import precision


def test_report_shows_precisions_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    precision.append(tmp_path, coco.record())
    assert call("report", str(tmp_path)) == 0
    assert "Average precision (%) on val2017" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {
        "precisions.jsonl",
        "precision.md",
        "precision.tex",
        "report.html",
    }
    page = (tmp_path / "report.html").read_text()
    assert "Average precision: ECA in maskrcnn_resnet50_fpn" in page
    assert "To evaluate it again" in page
    assert "precisions.jsonl" in page
    assert "Does it help?" not in page
    assert "equal training" not in page
    assert "38.0" in (tmp_path / "precision.md").read_text()


@pytest.mark.usefixtures("no_plots")
def test_report_shows_precisions_beside_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(SMALL_RUN, folder)
    precision.append(folder, coco.record())
    assert call("report", str(folder)) == 0
    assert "Average precision (%) on val2017" in capsys.readouterr().out
    assert "Average precision: ECA" in (folder / "report.html").read_text()
    assert (folder / "precision.md").exists()
