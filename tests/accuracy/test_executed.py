"""Accuracy of a network that a runtime executes from a file."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers import colours
from torch import nn

from attnbench.accuracy import executed
from attnbench.accuracy.evaluate import EvaluationOptions, evaluate, prepare
from attnbench.accuracy.options import checked
from attnbench.errors import UserError
from attnbench.report.tables import accuracy
from attnbench.runtimes import onnx_file
from attnbench.runtimes.prepared import Prepared, Settings

pytestmark = pytest.mark.usefixtures("small_host")


@pytest.fixture
def wanted(tmp_path: Path):
    """Options for the network of colours, with whatever a test changes."""
    weights = colours.weights(tmp_path / "colours.pth")
    data = colours.folder(tmp_path / "val")

    def options(**changes) -> EvaluationOptions:
        stated = {"weights": weights, "data": data, "device": "cpu", "threads": 1}
        stated |= {"image_size": int(colours.SIZE), "batch_size": 4}
        return EvaluationOptions(**stated | changes)

    return options


def test_an_int8_file_gives_the_known_answers_and_says_what_it_was_calibrated_on(wanted) -> None:
    pytest.importorskip("openvino")
    quantise = pytest.importorskip("attnbench.runtimes.int8.quantise")
    data = wanted().data
    options = wanted(runtime="openvino", dtype="int8", calibrate=data)
    result = evaluate(prepare(options), lambda *_: None)
    # As tests/helpers/colours.py has it: 4 of 9 right in the top 1, 3 more in the top 5.
    assert (result.images, result.top1_right, result.top5_right) == (9, 4, 7)
    assert (result.runtime, result.dtype) == ("openvino", "int8")
    assert 0 < result.relative_error < 0.05
    assert (result.calibration.name, result.calibration.images) == ("val", 9)
    assert result.environment["openvino"]
    assert result.environment["weight_bits"] == quantise.weight_bits()
    assert "--runtime openvino --calibrate val" in accuracy.command(result)
    assert accuracy.network(result) == "plain in resnet50, OpenVINO int8"
    (note,) = accuracy.notes([result])
    assert "calibrated on 9 images in val/, sha256" in note
    narrow = replace(result, environment=result.environment | {"weight_bits": 7})
    assert "with weights of 7 bits" in accuracy.notes([narrow])[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"runtime": "tensorrt"}, "unknown runtime 'tensorrt'; known: eager, onnxruntime, openv"),
        ({"dtype": "int8"}, "eager does not compute in int8; known: float32, bfloat16, float16"),
        ({"runtime": "onnxruntime", "dtype": "bf16"}, "onnxruntime does not compute in bfloat16"),
        ({"runtime": "openvino", "device": "cuda"}, "openvino runs on the CPU"),
        ({"runtime": "openvino", "dtype": "int8"}, "--dtype int8 needs --calibrate DIR"),
        ({"calibrate": Path()}, "--dtype int8 needs --calibrate DIR, .*; no other"),
        (
            {"runtime": "openvino", "dtype": "int8", "calibrate": Path("missing")},
            "cannot take images from missing: no such folder",
        ),
    ],
)
def test_what_cannot_be_is_refused(wanted, changes: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        checked(wanted(**changes))


def test_other_logits_are_refused(monkeypatch) -> None:
    monkeypatch.setattr(onnx_file, "export", lambda *_: b"")
    stub = type("Stub", (), {"load": lambda _: lambda *_: Prepared(lambda x: [1.01 * x])})()
    monkeypatch.setitem(executed.TABLE, "onnxruntime", stub)
    settings = Settings(threads=1, dtype="float32")
    with pytest.raises(UserError, match=r"differ by 1.000% of the largest, and 0.100% is allowed"):
        executed.execute(nn.Identity(), torch.ones(2, 3), "onnxruntime", settings)


def test_an_export_that_rounding_would_hide_is_refused_in_float32(monkeypatch) -> None:
    monkeypatch.setattr(onnx_file, "export", lambda *_: b"")
    stub = type("Stub", (), {"load": lambda _: lambda *_: Prepared(lambda x: [1.01 * x])})()
    monkeypatch.setitem(executed.TABLE, "openvino", stub)
    settings = Settings(threads=1, dtype="bfloat16")
    with pytest.raises(UserError, match=r"openvino in float32 gives other .* differ by 1.000%"):
        executed.execute(nn.Identity(), torch.ones(2, 3), "openvino", settings)
