"""All seven modules, and a custom one, through ONNX Runtime and OpenVINO: one network of all."""

import pytest
import torch
from torch import nn

from attnbench.modules import ATTENTION
from attnbench.runtimes import onnx_file
from attnbench.runtimes.artefact import relative_error
from attnbench.runtimes.prepared import Settings
from attnbench.runtimes.table import TABLE

CHANNELS = 128  # the fewest that every module's defaults divide

ort = pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")
onnx = pytest.importorskip("onnx")
core = pytest.importorskip("attnbench.runtimes.open_vino").core
quantise = pytest.importorskip("attnbench.runtimes.int8.quantise")
saturation = pytest.importorskip("attnbench.runtimes.int8.saturation")


class Custom(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.scale = nn.Parameter(torch.linspace(0, 1, channels).view(1, -1, 1, 1))

    def forward(self, x):
        return x * torch.sigmoid(self.scale * x.mean((2, 3), keepdim=True))


class All(nn.Module):
    """Each module on the same map, with weights that are not its initial ones."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.convolution = nn.Conv2d(3, CHANNELS, 3, padding=1)
        rows = [row.build(CHANNELS) for row in ATTENTION.values()]
        self.every = nn.ModuleList([*rows, Custom(CHANNELS)])
        with torch.no_grad():
            for weight in self.every.parameters():
                weight.add_(0.1 * torch.randn(weight.shape))

    def forward(self, image):
        x = self.convolution(image)
        return [module(x) for module in self.every]


def noise(seed):
    return torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def network():
    return All().eval()


@pytest.fixture(scope="module")
def file(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("exports") / "all.onnx"
    path.write_bytes(onnx_file.export(network, noise(0)))
    return path


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_every_module_computes_the_same(network, file, runtime):
    prepared = TABLE[runtime].load()(file, Settings(threads=1, dtype="float32"))
    with torch.no_grad():
        for image in (noise(0), noise(1)):
            outputs = prepared.call(image)
            assert len(outputs) == len(ATTENTION) + 1
            # A rounding of float32 is 6e-8; a few hundred terms are summed.
            assert relative_error(network(image), outputs) < 1e-5
    before = [output.clone() for output in prepared.call(noise(1))]
    prepared.renew()
    assert relative_error(before, prepared.call(noise(1))) < 1e-6
    assert sum(prepared.operators().values()) > len(ATTENTION)


def test_onnx_runtime_states_its_threads_and_that_none_spins(file):
    facts = TABLE["onnxruntime"].load()(file, Settings(threads=2, dtype="float32")).facts
    assert facts == {
        "threads": 2,
        "graph_optimization_level": "ORT_ENABLE_ALL",
        "provider": "CPUExecutionProvider",
        "session.intra_op.allow_spinning": "0",
        "session.inter_op.allow_spinning": "0",
    }


@pytest.mark.parametrize(("dtype", "hint"), [("float32", "f32"), ("bfloat16", "bf16")])
def test_openvino_states_its_threads_and_the_precision_that_was_asked_for(file, dtype, hint):
    if hint == "bf16" and "BF16" not in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this CPU has no products in bfloat16; tests/runtimes/test_open_vino.py")
    facts = TABLE["openvino"].load()(file, Settings(threads=1, dtype=dtype)).facts
    assert (facts["INFERENCE_PRECISION_HINT"], facts["INFERENCE_NUM_THREADS"]) == (hint, 1)
    assert (facts["NUM_STREAMS"], facts["ENABLE_CPU_PINNING"]) == (1, False)


@pytest.mark.parametrize("bits", [7, 8])
def test_weights_have_the_bits_whose_sums_are_exact(file, monkeypatch, bits):
    """7 bits, from -64 to 64, as 2 * 255 * 64 = 32640 fits into 16 bits; 8 bits reach to 127."""
    monkeypatch.setattr(saturation, "weight_bits", lambda: bits)
    model = onnx.load_from_string(quantise.quantised(file, [noise(2)]))
    of_int8 = [onnx.numpy_helper.to_array(part) for part in model.graph.initializer]
    greatest = max(abs(part.astype(int)).max() for part in of_int8 if part.dtype == "int8")
    assert greatest == {7: 64, 8: 127}[bits]
    assert quantise.weight_bits() == bits
    assert quantise.weight_bits(symmetric=True) == 8  # computed on a GPU


def test_both_read_one_int8_file(network, file, tmp_path):
    path = tmp_path / "int8.onnx"
    path.write_bytes(quantise.quantised(file, [noise(seed) for seed in range(2, 6)]))
    assert path.stat().st_size < file.stat().st_size
    with torch.no_grad():
        reference = network(noise(0))
    for runtime in ("onnxruntime", "openvino"):
        outputs = TABLE[runtime].load()(path, Settings(threads=1, dtype="int8")).call(noise(0))
        # Of 256 steps of the range each operator rounds to one: some percent, but not nothing.
        assert 1e-4 < relative_error(reference, outputs) < 0.2
