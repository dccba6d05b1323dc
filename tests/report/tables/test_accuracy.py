import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.evaluations import evaluation

import attnbench
from attnbench import report
from attnbench.errors import UserError
from attnbench.records import evaluation as evaluations
from attnbench.records.run import Run
from attnbench.report.load import load
from attnbench.report.tables import accuracy
from attnbench.report.tables.run import LoadedRun
from attnbench.report.write import write_evaluations, write_joint

SMALL_RUN = Path(__file__).parents[2] / "data" / "small-run"
CAPTION = "Accuracy: measured here, beside published figures"


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """The small run with an evaluation of SA beside it."""
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(SMALL_RUN / "records.jsonl", folder)
    evaluations.append(folder, evaluation())
    return folder


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """Evaluations without a run."""
    evaluations.append(tmp_path / "val", evaluation(module=None, top1_right=38_192))
    evaluations.append(tmp_path / "val", evaluation())
    return tmp_path / "val"


def test_a_row_an_evaluation_metric_and_source() -> None:
    (sheet,) = accuracy.tables([evaluation()])
    assert sheet.caption == CAPTION
    shown = [dict(zip(sheet.headings, row, strict=True)) for row in sheet.rows]
    assert shown[0] == {
        "network": "SA in resnet50",
        "data": "val",
        "images": "50,000",
        "metric": "top-1",
        "measured (%) [95%]": "77.882 [77.516, 78.244]",
        "published (%)": "77.882",
        "verdict": "reproduced",
        "code": "reproduced",
        "source": "wofmanaf/SA-Net README @00a6760",
    }
    assert (shown[1]["verdict"], shown[1]["code"]) == ("lower by 0.092, within", "agrees")
    assert len(shown) == 2


def test_every_source_has_a_row_and_none_is_a_dash() -> None:
    (sheet,) = accuracy.tables([evaluation(module=None), evaluation(host="resnet18")])
    top1 = [row for row in sheet.rows if row[3] == "top-1"]
    # PytorchInsight and DCANet; PytorchInsight's last epoch; timm's tv, a1, a2 and a3.
    timm = ["76.156", "80.382", "79.828", "78.052"]
    assert [row[5] for row in top1] == ["76.384", "75.90", "76.300", *timm, "–"]
    assert top1[-2][-1] == "huggingface/pytorch-image-models results csv @aa4b5850, a3"
    assert top1[-1][6:] == ("–", "unpublished", "–")
    assert accuracy.tables([]) == []


def test_a_note_has_what_is_needed_to_get_it_again() -> None:
    (note,) = accuracy.notes([evaluation(top1_tied=3)])
    for said in (
        "SA in resnet50: of 50,000 images 38,941 right in the top 1, 46,900 in the top 5",
        "of 1,000 classes",
        "3 are wrong in the top 1 only because of an equal logit",
        f"weights sa_resnet50.pth.tar, sha256 {'a' * 64}",
        f"images in val/, 1,000 folders whose sorted names are the classes, sha256 {'b' * 64}",
        "bilinear resize of the shorter side to 256, centre crop of 224x224",
        "mean 0.485 0.456 0.406, std 0.229 0.224 0.225",
        "float32 on An imagined CPU, batch 32, torch 2.15.0",
        "if this is another set, the verdicts do not apply",
    ):
        assert said in note
    (other,) = accuracy.notes([evaluation(images=46_900)])
    assert "so published figures are for orientation only" in other
    assert "equal logit" not in other


def test_the_command_states_every_option() -> None:
    assert accuracy.command(evaluation(channels_last=True)) == (
        "attnbench evaluate --weights sa_resnet50.pth.tar --data val --module sa --host resnet50 "
        "--device cpu --dtype float32 --batch-size 32 --image-size 224 --threads 2 --channels-last"
    )
    assert "--module" not in accuracy.command(evaluation(module=None))


def test_a_runs_report_shows_what_was_evaluated_beside_it(beside: Path) -> None:
    ((path, loaded),) = load(beside).runs.items()
    report.write(loaded.run, path)
    for name in ("comparison.md", "comparison.tex", "report.html"):
        text = (path / name).read_text()
        assert CAPTION in text, name
        assert "77.882" in text
        assert "a" * 64 in text
    assert "38,941" in (path / "comparison.md").read_text()
    assert "evaluations.jsonl" in (path / "report.html").read_text()


def test_a_report_without_evaluations_does_not_speak_of_them(run: Run, tmp_path: Path) -> None:
    report.write(run, tmp_path)
    for path in tmp_path.glob("*.*"):
        if path.suffix in {".md", ".tex", ".html"}:
            assert "measured here" not in path.read_text(), path.name
    assert "evaluations.jsonl" not in (tmp_path / "report.html").read_text()


def test_evaluations_alone_have_a_page_and_tables_of_their_own(alone: Path) -> None:
    assert load(alone).runs == {}
    found = load(alone).evaluations
    assert [each.module for each in found] == [None, "sa"]
    names = {path.name for path in write_evaluations(found, alone)}
    assert names == {"comparison.md", "comparison.tex", "report.html"}
    page = (alone / "report.html").read_text()
    assert page.count("<h2>") == 1
    assert "Beside the plain host" not in page
    assert "<figure>" not in page
    assert "records.jsonl" not in page.partition('<details id="words">')[0]  # which explains all
    assert "plain in resnet50, SA in resnet50" in (alone / "comparison.tex").read_text()


def test_runs_and_evaluations_elsewhere_are_shown_on_one_page(
    beside: Path, alone: Path, tmp_path: Path
) -> None:
    runs = load(beside, alone).runs
    assert list(runs) == [beside]
    found = load(beside, alone).evaluations
    assert len(found) == 2  # what lies beside the run is the run's own
    write_joint({"run": runs[beside]}, tmp_path / "joint", found)
    page = (tmp_path / "joint" / "report.html").read_text()
    assert page.count(CAPTION) == 2
    assert (tmp_path / "joint" / "grid.md").read_text().count("SA in resnet50 |") == 4


def test_a_folder_of_folders_is_looked_through(tmp_path: Path, beside: Path, alone: Path) -> None:
    assert list(load(tmp_path).runs) == [beside]
    assert len(load(tmp_path).evaluations) == len(load(alone, alone).evaluations) == 2


def test_the_table_of_a_run_has_what_was_measured(beside: Path) -> None:
    table = attnbench.read(beside).set_index("variant")
    sa = table.loc["sa"]
    assert sa["measured_top1"] == pytest.approx(77.882)
    assert (round(sa["measured_top1_low"], 3), round(sa["measured_top1_high"], 3)) == (
        77.516,
        78.244,
    )
    assert sa["measured_top5"] == pytest.approx(93.8)
    assert sa["measured_on"] == "val, 50,000 images; sa_resnet50.pth.tar"
    assert table["measured_top1"].notna().sum() == 1


def test_of_two_evaluations_of_a_network_neither_is_the_one(beside: Path) -> None:
    evaluations.append(beside, evaluation(dtype="bfloat16"))
    assert attnbench.read(beside)["measured_top1"].isna().all()


def test_modules_in_some_blocks_are_another_network(beside: Path) -> None:
    run = load(beside).runs[beside].run
    some = replace(run, case=replace(run.case, stages=(4,)))
    assert LoadedRun(some).frame["measured_top1"].isna().all()


def test_what_was_evaluated_on_images_of_another_size_is_no_figure_of_the_run(beside: Path) -> None:
    run = load(beside).runs[beside].run
    large = replace(run, case=replace(run.case, image_size=288))
    assert LoadedRun(large).frame["measured_top1"].isna().all()
    how = replace(evaluation().preprocessing, crop=288)
    both = replace(large, evaluations=(evaluation(), evaluation(preprocessing=how, images=49_999)))
    assert LoadedRun(both).frame.set_index("variant").loc["sa", "measured_on"] == (
        "val, 49,999 images; sa_resnet50.pth.tar"
    )


def test_evaluations_are_no_run(alone: Path) -> None:
    with pytest.raises(UserError, match=r"no run in .*, but evaluations"):
        attnbench.read(alone)


def test_a_damaged_evaluation_is_bad_input(beside: Path) -> None:
    with (beside / evaluations.FILE_NAME).open("a") as file:
        file.write(json.dumps({"schema": 1}) + "\n")
    with pytest.raises(UserError, match=r"evaluations.jsonl, line 2: host is missing"):
        load(beside)


def test_hostile_names_are_text(alone: Path) -> None:
    name = "<img src=x onerror=alert(1)>|\n&%"
    hostile = replace(evaluation().weights, name=name)
    data = replace(evaluation().data, name=name)
    found = [evaluation(weights=hostile, data=data)]
    write_evaluations(found, alone)
    assert "<img" not in (alone / "report.html").read_text()
    assert "<img" not in (alone / "comparison.md").read_text()
    assert "\n&" not in (alone / "comparison.tex").read_text()
