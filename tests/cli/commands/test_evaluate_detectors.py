from pathlib import Path

import pytest
import torch
from helpers import coco, one_block
from helpers.command_line import call

from attnbench.detection.networks import detector
from attnbench.records import precision
from attnbench.report.tables.detectors.precisions import rows

pytestmark = pytest.mark.usefixtures("small_host")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of an untrained RetinaNet on the small host, for two classes."""
    with pytest.MonkeyPatch.context() as patch:
        one_block.use(patch)
        torch.manual_seed(0)
        file = tmp_path_factory.mktemp("weights") / "retinanet.pth"
        torch.save(detector("retinanet_resnet50_fpn", None, 2).state_dict(), file)
    return file


@pytest.fixture
def stated(weights: Path, tmp_path: Path) -> list[str]:
    file = coco.write(tmp_path)
    data = ["--data", str(tmp_path / "images"), "--annotations", str(file)]
    host = ["--host", "retinanet_resnet50_fpn", "--image-size", "64", "--device", "cpu"]
    return ["--weights", str(weights), *data, *host, "--threads", "1"]


def test_a_detector_is_evaluated_shown_and_recorded(
    stated: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert call("evaluate", *stated, "--out", str(out)) == 0
    shown = capsys.readouterr().out
    assert "Average precision (%) on images, 2 images" in shown
    assert "published figures are for orientation only" in shown
    (record,) = precision.read(out)
    assert record.weights.name == "retinanet.pth"
    assert "printed by implus" not in shown  # of RetinaNet nothing is printed without a module
    assert (out / "precision.md").read_text().startswith("**Average precision")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--annotations", "none.json"], "cannot read none.json: No such file"),
        (["--host", "resnet50"], "unknown detector for --annotations 'resnet50'"),
        (["--host", "resnet50_backbone"], "unknown detector for --annotations"),
        (["--dtype", "float16"], "--dtype goes with classifiers"),
        (["--channels-last"], "--channels-last goes with classifiers"),
        (["--image-size", "16"], "image_size must be at least 32"),
        (["--host", "fasterrcnn_resnet50_fpn"], "the checkpoint has no 'roi_heads.box_predictor"),
        (["--module", "se"], "these weights do not fit the network; missing"),
        (["--data", "nowhere"], "cannot take images from nowhere"),
    ],
)
def test_bad_input_is_one_line(
    stated: list[str],
    options: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    assert call("evaluate", *stated, *options, "--out", str(out)) == 2
    complaint = capsys.readouterr().err.strip()
    assert message in complaint
    assert "\n" not in complaint
    assert not out.exists()


def test_a_detector_without_annotations_is_told_the_option(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    host = ["--host", "maskrcnn_resnet50_fpn", "--data", str(tmp_path)]
    assert call("evaluate", "--weights", str(weights), *host) == 2
    assert "a detector is evaluated with --annotations FILE" in capsys.readouterr().err


def test_a_folder_of_other_files_is_refused(
    stated: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("evaluate", *stated, "--out", str(tmp_path)) == 2
    assert "holds other files" in capsys.readouterr().err


def test_printed_figures_stand_below_measured_ones() -> None:
    table = rows(coco.record())
    assert table[0] == ("ECA in maskrcnn_resnet50_fpn", "box", *["38.0"] * 5, "–")
    printed = [row for row in table if row[0].startswith("printed by")]
    assert [row[1:5] for row in printed] == [
        ("box", "39.0", "61.3", "42.1"),
        ("mask", "35.6", "58.1", "37.7"),
    ]
    assert printed[0][0].endswith("batch 8, lr 0.01, k=3,3,7,7")
