"""``--dtype amp``: what is timed, counted and held, and where it is refused."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from attnbench.counting.rules import executed, macs, parameters
from attnbench.counting.training import EXECUTED_STEP, count_step
from attnbench.counting.twin import fake_mode
from attnbench.errors import UserError
from attnbench.measuring import workload
from attnbench.measuring.memory import fake_step, peak_live_bytes
from attnbench.measuring.options.cases import check_case
from attnbench.measuring.options.values import cleaned
from attnbench.records.case import RunOptions

pytestmark = pytest.mark.usefixtures("small_host")


@pytest.fixture
def amp(case):
    return replace(case, dtype="amp", batch_size=1)


@pytest.mark.parametrize(
    ("word", "dtype"),
    [("amp", "amp"), ("AMP-FP16", "amp-float16"), ("amp-bf16", "amp"), ("amp-bfloat16", "amp")],
)
def test_it_has_names(word, dtype):
    assert cleaned(RunOptions(dtype=(word,))).dtype == (dtype,)


def test_an_inference_computes_in_bfloat16_with_float32_weights(amp):
    step = workload.step(amp, "se", statistics=True)
    assert step().dtype == torch.bfloat16
    assert {value.dtype for value in step.network.parameters()} == {torch.float32}


@pytest.mark.parametrize("dtype", ["amp", "amp-float16"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_live_bytes_are_those_of_a_real_step(amp, dtype, channels_last):
    case = replace(amp, dtype=dtype, channels_last=channels_last)
    real = peak_live_bytes(workload.step(case, "sa"))
    assert peak_live_bytes(fake_step(case, "sa"), fake_mode()) == real
    # The largest weight, (512, 512, 3, 3), is cast in every step.
    assert real > 2 * 512 * 512 * 9


def test_counts_hold_the_casts_and_no_other_arithmetic(amp):
    def counted(dtype, rule):
        case = replace(amp, dtype=dtype)
        image = workload.image_for(case, case.input_shape, "meta")
        return rule.RULE.count(workload.network(case, "se", "meta"), image)

    assert counted("amp", macs).operations == counted("float32", macs).operations
    assert counted("amp", parameters).params == counted("float32", parameters).params
    cast, single = (counted(dtype, executed) for dtype in ("amp", "float32"))
    more = cast.details["kernels"] - single.details["kernels"]
    convolutions = 1 + 4 * 3 + 4  # one bottleneck a stage, each with a projection
    layers = convolutions + 4 * 2 + 1  # SE's two linear layers, and the classifier
    biases = layers - convolutions
    image = 1
    assert more == layers + biases + image
    assert cast.operations == single.operations
    assert not cast.not_counted


def test_training_has_its_parts_and_counts(amp):
    case = replace(amp, dtype="amp-float16", mode="training", batch_size=2)
    step = workload.step(case, "se")
    assert [*step.parts] == ["forward", "backward", "optimizer"]
    assert torch.isfinite(step())
    counts = count_step(fake_step(case, "se").parts, fake_mode())[EXECUTED_STEP]
    assert not counts.not_counted


def test_a_scaled_loss_gives_the_same_gradients_and_a_scale_too_large_falls():
    torch.manual_seed(0)
    network, image = nn.Linear(3, 2), torch.randn(4, 3)
    plain = workload._training(network, network, image, 2)
    plain["forward"]()
    plain["backward"]()
    expected = network.weight.grad.clone()
    network.zero_grad()
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8, growth_interval=workload.NEVER)
    parts = workload._training(network, network, image, 2, scaler)
    parts["forward"]()
    parts["backward"]()
    torch.testing.assert_close(network.weight.grad, 2**8 * expected)
    assert parts["optimizer"]() > 0
    assert scaler.get_scale() == 2**8
    huge = torch.amp.GradScaler("cpu", init_scale=2.0**127, growth_interval=workload.NEVER)
    for part in workload._training(network, network, 1e10 * image, 2, huge).values():
        part()
    assert huge.get_scale() == 2**126


@pytest.mark.parametrize(
    ("dtype", "kind", "scaled"),
    [
        ("amp-float16", "cuda", True),
        ("amp", "cuda", False),
        ("float16", "cuda", False),
        ("amp-float16", "cpu", False),  # as it is counted
    ],
)
def test_only_float16_on_a_gpu_has_a_scaler(amp, monkeypatch, dtype, kind, scaled):
    made = []
    monkeypatch.setattr(
        torch.amp, "GradScaler", lambda *of, **settings: made.append((of, settings))
    )
    image = SimpleNamespace(device=SimpleNamespace(type=kind))
    scaler = workload._scaler(replace(amp, dtype=dtype), image)
    assert made == ([(("cuda",), {"growth_interval": 2**31 - 1})] if scaled else [])
    assert (scaler is workload.NO_SCALER) is not scaled


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"device": "mps"}, "^--dtype amp runs on cpu, cuda, xpu, not on mps$"),
        ({"dtype": "amp-float16"}, "^--dtype amp-float16 runs on cuda, not on cpu$"),
        ({"isolated": True}, "^--isolated has no --dtype amp: .*; use --dtype bfloat16$"),
        ({"runtime": "openvino"}, "^OpenVINO does not compute in amp here, only in float32, "),
        ({"runtime": "onnxruntime"}, "; --runtime with amp: eager, compile, cuda-graph, "),
        (
            {"dtype": "amp-float16", "device": "cuda", "mode": "training", "runtime": "cuda-graph"},
            "^--dtype amp-float16 has no --cuda-graph in training: the gradient scaler asks the ",
        ),
    ],
)
def test_where_it_cannot_be_it_is_refused(amp, changes, why):
    with pytest.raises(UserError, match=why):
        check_case(replace(amp, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"mode": "training", "runtime": "compile"},
        {"device": "cuda", "runtime": "cuda-graph", "mode": "training"},
        {"device": "cuda", "dtype": "amp-float16", "mode": "training"},
        {"device": "xpu:1"},
    ],
)
def test_elsewhere_it_is_not(amp, changes):
    check_case(replace(amp, **changes))
