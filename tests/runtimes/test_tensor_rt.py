"""TensorRT through a stand-in for its package: no GPU has run it."""

import sys
from dataclasses import replace
from importlib import import_module
from types import SimpleNamespace

import onnx
import pytest
import torch
from helpers import tensorrt_stub
from torch import nn

from attnbench.runtimes import artefact, onnx_file
from attnbench.runtimes.artefact import Images, Subject, load_same, make
from attnbench.runtimes.onnx_file import NotExportedError
from attnbench.runtimes.prepared import Settings

HOME = "attnbench.runtimes.tensor_rt"
SETTINGS = Settings(threads=1, dtype="float32")


@pytest.fixture
def tensor_rt(monkeypatch):
    """The suite's file, with the stand-in and streams of a GPU that does what is issued."""
    monkeypatch.setitem(sys.modules, "tensorrt", tensorrt_stub.module())
    waits = []
    stream = SimpleNamespace(
        cuda_stream="a stream of its own", wait_stream=lambda _: waits.append("own")
    )
    current = SimpleNamespace(wait_stream=lambda _: waits.append("current"))
    monkeypatch.setattr(torch.cuda, "Stream", lambda _: stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: current)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "a GPU")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    module = import_module(HOME)
    module.waits = waits
    yield module
    del sys.modules[HOME]  # the next test has its own


@pytest.fixture
def network():
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)
    return nn.Sequential(*layers).eval()


@pytest.fixture
def subject(case):
    """As on a GPU, but that tensors stay where the stand-in computes."""
    return Subject(replace(case, runtime="tensorrt", device="cpu"), "sa", None)


def noise(seed):
    return torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(seed))


IMAGES = Images([noise(0), noise(1)], [noise(seed) for seed in range(2, 6)], "4 batches")


def one_operator(kind):
    """Return a file of one operator, from and to (2, 3)."""
    tensors = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, (2, 3))
        for name in ("image", "logits")
    ]
    node = onnx.helper.make_node(kind, ["image"], ["logits"])
    graph = onnx.helper.make_graph([node], "one", tensors[:1], tensors[1:])
    opset = onnx.helper.make_opsetid("", 17)
    return onnx.helper.make_model(graph, opset_imports=[opset], ir_version=9).SerializeToString()


def test_an_engine_is_built_kept_and_loaded_once_more(
    tmp_path, tensor_rt, subject, network, monkeypatch
):
    export = make(tmp_path, subject, network, IMAGES)
    assert export.file.endswith(".tensorrt")
    engine = (tmp_path / export.file).read_bytes()
    assert engine.startswith(tensorrt_stub.ENGINE)
    assert (export.bytes, export.bound) == (len(engine), 2e-2)  # its products may be in TF32
    assert export.operators == tensorrt_stub.layers(engine)
    assert export.operators["Conv"] == 1
    assert export.relative_error < 1e-5
    assert export.settings == {
        **{"tensorrt": "11.4.0", "layers": sum(export.operators.values())},
        **{"strongly_typed": True, "tf32": True, "nvtx_verbosity": "NONE"},
    }
    # The ONNX file stays beside it: OpenVINO's and ONNX Runtime's is the same.
    (other,) = {path.name for path in tmp_path.iterdir()} - {export.file}
    assert other == replace(subject, case=replace(subject.case, runtime="openvino")).file_name

    again = load_same(tmp_path, subject.case, export).call(noise(7))
    assert artefact.relative_error(network(noise(7)), again) < 1e-5
    assert tensor_rt.waits[-2:] == ["own", "current"]  # for the image, then for the output

    monkeypatch.setattr(onnx_file, "export", None)  # nothing is exported or built again
    assert make(tmp_path, subject, network, IMAGES).seconds is None
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "another GPU")
    assert subject.file_name != export.file


@pytest.mark.usefixtures("tensor_rt")
def test_the_file_states_the_dtype_that_it_computes_in(tmp_path, subject, network):
    subject = replace(subject, case=replace(subject.case, dtype="float16"))
    export = make(tmp_path, subject, network, IMAGES)
    # Ten bits of mantissa: 0.05% an operation.
    assert 1e-6 < export.relative_error < 5e-3
    (file,) = tmp_path.glob("*-float16.onnx")
    graph = onnx.load(file).graph
    half = onnx.TensorProto.FLOAT16
    assert all(tensor.data_type in {half, onnx.TensorProto.INT64} for tensor in graph.initializer)
    ends = [*graph.input, *graph.output]
    assert {end.type.tensor_type.elem_type for end in ends} == {onnx.TensorProto.FLOAT}


def test_bfloat16_is_exported_too(network):
    graph = onnx.load_from_string(onnx_file.export(network, noise(0), "bfloat16")).graph
    assert onnx.TensorProto.BFLOAT16 in {tensor.data_type for tensor in graph.initializer}


@pytest.mark.usefixtures("tensor_rt")
def test_int8_is_symmetric_as_tensorrt_needs_it(tmp_path, subject, network):
    pytest.importorskip("onnxruntime")
    subject = replace(subject, case=replace(subject.case, dtype="int8"))
    export = make(tmp_path, subject, network, IMAGES)
    assert 1e-4 < export.relative_error < 0.2
    assert export.settings["calibration"] == "4 batches"
    (file,) = tmp_path.glob("*-int8-symmetric.onnx")
    graph = onnx.load(file).graph
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    rounded = [n for n in graph.node if n.op_type in {"QuantizeLinear", "DequantizeLinear"}]
    assert {node.op_type for node in rounded} == {"QuantizeLinear", "DequantizeLinear"}
    for node in rounded:
        zero = values[node.input[2]]
        assert zero.dtype == "int8", node.name  # biases would be in int32
        assert not zero.any(), node.name


def test_what_tensorrt_does_not_know_is_told_with_its_operator(tmp_path, tensor_rt):
    file = tmp_path / "sinh.onnx"
    file.write_bytes(one_operator("Sinh"))
    message = r"^TensorRT stopped at Sinh: No importer registered for op: Sinh\.$"
    with pytest.raises(NotExportedError, match=message):
        tensor_rt.build(file, SETTINGS)


def test_an_engine_that_cannot_be_built_is_told_in_tensorrts_words(tmp_path, tensor_rt):
    file = tmp_path / "tanh.onnx"
    file.write_bytes(one_operator("Tanh"))
    with pytest.raises(NotExportedError, match=r"^Could not find any implementation\.$"):
        tensor_rt.build(file, SETTINGS)


def test_what_is_no_engine_is_not_loaded(tmp_path, tensor_rt):
    file = tmp_path / "a.tensorrt"
    file.write_bytes(b"of another version")
    with pytest.raises(NotExportedError, match=r"^Serialization assertion failed\.$"):
        tensor_rt.load(file, SETTINGS)


def test_outputs_are_float32(tmp_path, tensor_rt):
    model = onnx.load_from_string(one_operator("Relu"))
    for end in (*model.graph.input, *model.graph.output):
        end.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    file = tmp_path / "half.tensorrt"
    file.write_bytes(tensorrt_stub.ENGINE + model.SerializeToString())
    with pytest.raises(NotExportedError, match="output logits of the engine is not in float32"):
        tensor_rt.load(file, SETTINGS)
