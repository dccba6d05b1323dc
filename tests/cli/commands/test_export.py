import json
from pathlib import Path

import pytest
from helpers.command_line import call

from attnbench.measuring.steps import apart
from attnbench.records.schema import Export
from attnbench.runtimes.onnx_file import NotExportedError

MADE = Export(
    file="a.onnx",
    sha256="a" * 64,
    bytes=2,
    seconds=1.0,
    load_s=1.0,
    operators={"Conv": 2, "Relu": 1},
    relative_error=2e-6,
    bound=1e-3,
)


@pytest.fixture
def made(monkeypatch):
    """What was exported, with a file of two bytes in the place of each."""
    seen = []

    def export(run, variant):
        seen.append((run.case, variant))
        run.exports.joinpath(MADE.file).write_bytes(b"ab")
        return MADE

    monkeypatch.setattr(apart, "export_apart", export)
    return seen


def test_a_file_is_kept_with_what_is_known_of_it(tmp_path: Path, made, capsys) -> None:
    out = tmp_path / "sa.onnx"
    words = ("--runtime", "OpenVINO", "--module", "SA", "--host", "resnet18", "--image-size", "64")
    more = ("--stages", "4", "--dtype", "bf16", "--threads", "1", "--out", str(out))
    assert call("export", *words, *more) == 0
    ((case, variant),) = made
    assert variant == "sa"
    assert (case.runtime, case.host, case.image_size) == ("openvino", "resnet18", 64)
    assert (case.stages, case.dtype, case.device) == ((4,), "bfloat16", "cpu")
    assert out.read_bytes() == b"ab"
    known = json.loads((tmp_path / "sa.onnx.json").read_text())
    assert known["export"]["sha256"] == "a" * 64
    assert known["case"]["seed"] == 0
    assert known["environment"]["torch"]
    printed = capsys.readouterr().out
    assert "a" * 64 in printed
    assert "OpenVINO executes 3 operators" in printed
    assert "0.00020% of the largest output; 0.10% is allowed." in " ".join(printed.split())


def test_a_module_of_an_import_root_is_exported(tmp_path: Path, made, monkeypatch) -> None:
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor" / "gates.py").write_text(
        "from torch import nn\n\nclass Gate(nn.Identity):\n    def __init__(self, channels):\n"
        "        super().__init__()\n"
    )
    monkeypatch.chdir(tmp_path)
    words = ("--runtime", "onnxruntime", "--host", "resnet18", "--module", "gates:Gate")
    assert call("export", *words, "--import-root", "vendor", "--out", "gate.onnx") == 0
    assert [variant for _, variant in made] == ["gates:Gate,import_root=vendor"]


def test_without_a_module_it_is_the_plain_host(tmp_path: Path, made) -> None:
    words = ("--runtime", "onnxruntime", "--host", "resnet18", "--out", str(tmp_path / "a.onnx"))
    assert call("export", *words) == 0
    assert [variant for _, variant in made] == ["plain"]


def test_what_is_not_exported_leaves_no_file(tmp_path: Path, monkeypatch, capsys) -> None:
    def fails(*_):
        raise NotExportedError("no ONNX operator for aten.airy: none")

    monkeypatch.setattr(apart, "export_apart", fails)
    words = ("--runtime", "onnxruntime", "--module", "sa", "--out", str(tmp_path / "a.onnx"))
    assert call("export", *words) == 1
    assert "sa was not exported: " in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--runtime", "eager"), "--runtime: 'eager' is not one of onnxruntime, openvino"),
        (("--runtime", "openvino", "--dtype", "fp16"), "OpenVINO does not compute in float16"),
        (("--runtime", "openvino", "--image-size", "64,96"), "a file has one size"),
        (("--runtime", "openvino", "--module", "saa"), "saa"),
        (("--runtime", "openvino", "--module", "sa", "--host", "resnet18"), "do not divide by 128"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, words, message, capsys) -> None:
    assert call("export", *words, "--out", str(tmp_path / "a.onnx")) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_place_is_checked_first(tmp_path: Path, capsys) -> None:
    for out, message in ((tmp_path, "is a folder"), (tmp_path / "no" / "a", "there is no folder")):
        assert call("export", "--runtime", "openvino", "--out", str(out)) == 2
        assert message in capsys.readouterr().err
