from dataclasses import replace

import pytest

from attnbench.errors import UserError
from attnbench.records.case import EXPORTED, RUNTIMES
from attnbench.runtimes import table
from attnbench.runtimes.table import TABLE, check, device_for, facts


def test_every_runtime_of_a_record_has_a_row_and_words():
    assert list(TABLE) == list(RUNTIMES)
    assert tuple(name for name, row in TABLE.items() if row.exports) == EXPORTED


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"runtime": "cuda-graph"}, "--cuda-graph needs a CUDA device"),
        ({"runtime": "onnxruntime", "device": "cuda"}, "ONNX Runtime runs on cpu here"),
        (
            {"runtime": "onnxruntime", "dtype": "bfloat16"},
            "compute in bfloat16 here, only in float32, int8; -",
        ),
        ({"runtime": "openvino", "dtype": "float16"}, "OpenVINO does not compute in float16"),
        (
            {"dtype": "int8"},
            "eager PyTorch does not .* int8 here.*: onnxruntime, openvino, tensorrt$",
        ),
        ({"runtime": "tensorrt"}, "TensorRT needs an NVIDIA GPU, and --device cuda"),
        ({"runtime": "tensorrt", "device": "cuda", "mode": "training"}, "has no --mode training"),
        ({"runtime": "openvino", "mode": "training"}, "OpenVINO has no --mode training"),
        ({"runtime": "openvino", "channels_last": True}, "chooses the layout itself"),
        ({"runtime": "openvino", "isolated": True}, "--isolated times the eager forward"),
    ],
)
def test_what_a_runtime_cannot_execute_is_refused(case, settings, message):
    with pytest.raises(UserError, match=message):
        check(replace(case, **settings))


def test_a_runtime_that_is_not_installed_says_how_it_is(case, monkeypatch):
    monkeypatch.setattr(table, "find_spec", lambda name: None if name == "openvino" else name)
    check(replace(case, runtime="onnxruntime"))
    message = r"OpenVINO needs openvino, .*: python -m pip install -e '\.\[openvino\]'"
    with pytest.raises(UserError, match=message):
        check(replace(case, runtime="openvino"))


def test_tensorrt_without_its_package_says_how_it_is_installed(case, monkeypatch):
    monkeypatch.setattr(table, "find_spec", lambda name: None if name == "tensorrt" else name)
    message = r"TensorRT needs tensorrt, .*: python -m pip install -e '\.\[tensorrt\]'"
    with pytest.raises(UserError, match=message):
        check(replace(case, runtime="tensorrt", device="cuda"))


def test_int8_needs_the_tool_that_quantises(case, monkeypatch):
    monkeypatch.setattr(table, "find_spec", lambda name: None if name == "onnxruntime" else name)
    check(replace(case, runtime="openvino"))
    with pytest.raises(UserError, match="ONNX Runtime needs onnxruntime, not installed"):
        check(replace(case, runtime="openvino", dtype="int8"))


def test_a_device_that_is_not_stated_is_one_that_all_have():
    assert device_for((), "cuda") == device_for(("eager", "cuda-graph"), "cuda") == "cuda"
    assert device_for(("eager", "onnxruntime"), "cuda") == "cpu"
    assert device_for(("eager", "tensorrt"), "cuda") == "cuda"


def test_a_files_facts_are_versions_and_how_often_it_is_made_anew(case):
    assert facts(case, 5) == {}
    known = facts(replace(case, runtime="onnxruntime"), 5)
    assert known.pop("moves_weights_every_rounds") == 50  # every tenth move, one in five rounds
    assert set(known) == {"onnxruntime", "onnx", "onnxscript"}
    assert all(isinstance(value, str) for value in known.values())
    assert facts(replace(case, runtime="onnxruntime"), None)["moves_weights_every_rounds"] is None
