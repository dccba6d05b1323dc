from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from attnbench.measuring import workload
from attnbench.measuring.workload import network, step
from attnbench.modules import ATTENTION
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.runtimes import cuda_graph, torch_compile
from attnbench.runtimes.prepared import Prepared

pytestmark = pytest.mark.usefixtures("small_host")


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def networks(monkeypatch):
    """The networks that steps are made of, in the order in which they were made."""
    made = []

    def keep(*args, **options):
        made.append(network(*args, **options))
        return made[-1]

    monkeypatch.setattr(workload, "network", keep)
    return made


class Devices(TorchDispatchMode):
    """The kinds of device on which operators made something."""

    def __init__(self):
        super().__init__()
        self.devices = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        self.devices |= {leaf.device.type for leaf in tree_leaves(made) if torch.is_tensor(leaf)}
        return made


class Spy(nn.Module):
    """Keeps what it is shown."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.seen = []

    def forward(self, x):
        self.seen.append(x)
        return x.flatten(1)[:, :5] * self.weight


@pytest.fixture
def spy(monkeypatch):
    spy = Spy()
    monkeypatch.setattr(workload, "network", lambda *_, **__: spy)
    return spy


def bits(model):
    """The parameters as whole numbers: NaN equals itself, and 0 differs from -0."""
    whole = {torch.float32: torch.int32, torch.bfloat16: torch.int16, torch.float16: torch.int16}
    return {
        name: value.detach().view(whole[value.dtype]).clone()
        for name, value in model.named_parameters()
    }


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("variant", [CONTROL, *ATTENTION])
def test_a_variant_shares_the_hosts_own_weights(case, variant):
    plain, model = (network(case, name, "cpu").state_dict() for name in (PLAIN, variant))
    shared = plain.keys() & model.keys()
    replaced = {name for name in plain if ".conv2." in name or ".bn2." in name}
    assert plain.keys() - shared == (replaced if variant == "sk" else set())
    assert all(torch.equal(plain[name], model[name]) for name in shared)


def test_the_control_is_the_plain_host(case):
    plain, control = (network(case, name, "cpu") for name in (PLAIN, CONTROL))
    assert same(bits(plain), bits(control))


def test_the_weights_are_the_seeds(case):
    first, again = (network(case, "sa", "cpu") for _ in range(2))
    other = network(replace(case, seed=case.seed + 1), "sa", "cpu")
    assert same(bits(first), bits(again))
    assert not torch.equal(first.conv1.weight, other.conv1.weight)


@pytest.mark.parametrize("variant", [PLAIN, *ATTENTION])
@pytest.mark.parametrize("mode", ["inference", "training"])
def test_nothing_is_allocated_on_meta(case, networks, variant, mode):
    with Devices() as made:
        step(replace(case, mode=mode), variant, "meta")()
    assert made.devices == {"meta"}
    tensors = [*networks[0].parameters(), *networks[0].buffers()]
    assert {tensor.device.type for tensor in tensors} == {"meta"}


def test_a_case_that_fills_no_memory_of_this_world_is_built_on_meta(case):
    huge = replace(case, batch_size=10**6, image_size=1024)  # 12.6 TB of images
    assert step(huge, PLAIN, "meta")().shape == (10**6, 1000)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("variant", [PLAIN, "sk"])
def test_weights_and_statistics_have_the_cases_dtype(case, dtype, variant):
    model = network(replace(case, dtype=dtype), variant, "cpu")
    found = {value.dtype for value in model.state_dict().values() if value.is_floating_point()}
    assert found == {getattr(torch, dtype)}


@pytest.mark.parametrize("channels_last", [False, True])
def test_weights_have_the_cases_layout(case, channels_last):
    weight = network(replace(case, channels_last=channels_last), PLAIN, "cpu").conv1.weight
    assert weight.stride() == ((147, 1, 21, 3) if channels_last else (147, 49, 7, 1))  # 3 * 7 * 7


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_the_image_has_the_cases_shape_dtype_and_layout(case, spy, dtype, channels_last, device):
    spy.to(device)
    step(replace(case, dtype=dtype, channels_last=channels_last), PLAIN, device)()
    (image,) = spy.seen
    assert (image.shape, image.dtype) == ((2, 3, 32, 32), getattr(torch, dtype))
    # 3 * 32 * 32 = 3072 values an image
    assert image.stride() == ((3072, 1, 96, 3) if channels_last else (3072, 1024, 32, 1))
    assert image.device.type == device


def test_every_variant_sees_the_same_image_and_another_seed_another(case, spy):
    for each, variant in ((case, PLAIN), (case, "sa"), (replace(case, seed=9), PLAIN)):
        step(each, variant)()
    assert torch.equal(spy.seen[0], spy.seen[1])
    assert not torch.equal(spy.seen[0], spy.seen[2])


@pytest.mark.parametrize("variant", [PLAIN, "sa", "sk"])
def test_inference_returns_logits_without_a_graph(case, networks, variant):
    logits = step(case, variant)()
    assert logits.shape == (2, 1000)
    assert logits.is_inference()
    assert not networks[0].training


def test_every_inference_gives_the_same(case, networks):
    forward = step(case, "sa")
    before = bits(networks[0])
    assert torch.equal(forward(), forward())
    assert same(bits(networks[0]), before)


@pytest.mark.parametrize(
    ("dtype", "variant"),
    [
        ("float32", PLAIN),
        ("float32", "sa"),
        ("float32", "sk"),
        ("bfloat16", "sa"),
        ("float16", "sa"),
    ],
)
def test_training_leaves_the_weights_as_they_were_bit_for_bit(case, networks, dtype, variant):
    train = step(replace(case, mode="training", dtype=dtype), variant)
    before = bits(networks[0])
    for _ in range(3):
        train()
    assert same(bits(networks[0]), before)


def test_training_returns_the_loss_of_a_network_in_training_mode(case, networks):
    loss = step(replace(case, mode="training"), "sa")()
    assert loss.shape == ()
    assert loss.isfinite()
    assert not loss.requires_grad
    assert networks[0].training


def test_training_is_forward_backward_optimiser_and_release_of_the_gradients(
    case, spy, monkeypatch
):
    log = []
    for name in ("step", "zero_grad"):
        monkeypatch.setattr(torch.optim.SGD, name, lambda _, name=name: log.append(name))
    spy.register_forward_hook(lambda *_: log.append("forward"))
    spy.weight.register_hook(lambda _: log.append("backward"))
    step(replace(case, mode="training"), PLAIN)()
    assert log == ["forward", "backward", "step", "zero_grad"]


def test_training_reaches_every_weight_and_keeps_no_gradient(case, networks):
    train = step(replace(case, mode="training"), "sk")
    reached = set()
    for name, weight in networks[0].named_parameters():
        weight.register_hook(lambda _, name=name: reached.add(name))
    train()
    assert reached == {name for name, _ in networks[0].named_parameters()}
    assert all(weight.grad is None for weight in networks[0].parameters())


def test_the_loss_is_against_the_first_classes(case, spy):
    with torch.no_grad():
        spy.weight.fill_(1)
    loss = step(replace(case, mode="training"), PLAIN)().item()
    logits = spy.seen[0].flatten(1)[:, :5].double()
    # Image 0 is of class 0 and image 1 of class 1; the loss is the mean of both.
    each = [logits[image].exp().sum().log() - logits[image, image] for image in (0, 1)]
    assert loss == pytest.approx(float(sum(each)) / 2)


def test_the_device_is_the_cases_own_unless_stated(case, networks):
    step(case, PLAIN)
    step(case, PLAIN, "meta")
    assert [model.conv1.weight.device.type for model in networks] == ["cpu", "meta"]


@pytest.mark.parametrize("mode", ["inference", "training"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_moving_a_step_changes_where_its_tensors_lie_and_nothing_else(
    case, networks, mode, channels_last
):
    ready = step(replace(case, mode=mode, channels_last=channels_last), "sa")
    before = ready()
    tensors = [*networks[0].parameters(), *networks[0].buffers()]
    places = [tensor.data_ptr() for tensor in tensors]
    kept = [tensor.data for tensor in tensors]  # so that no place is taken again
    layouts = [tensor.stride() for tensor in tensors]
    values = bits(networks[0])
    ready.move()
    assert all(old != new.data_ptr() for old, new in zip(places, tensors, strict=True))
    assert [tensor.stride() for tensor in tensors] == layouts
    assert same(bits(networks[0]), values)
    assert torch.equal(ready(), before)
    assert len(kept) == len(tensors)


def test_an_optimiser_reaches_the_weights_where_they_lie_now(case, networks, monkeypatch):
    sgd = torch.optim.SGD
    monkeypatch.setattr(torch.optim, "SGD", lambda weights, **_: sgd(weights, lr=0.1))
    train = step(replace(case, mode="training"), "sa")
    train.move()
    before = bits(networks[0])
    train()
    assert not same(bits(networks[0]), before)


def test_only_a_cpu_moves_its_weights(case, spy):
    spy.to("meta")
    assert step(replace(case, device="cuda"), PLAIN, "meta").move is None
    assert step(case, PLAIN, "meta").move is not None


def test_training_is_timed_in_its_three_parts_and_inference_whole(case):
    assert list(step(replace(case, mode="training"), PLAIN).parts) == [
        *("forward", "backward", "optimizer")
    ]
    assert list(step(case, PLAIN).parts) == ["forward"]


@pytest.mark.parametrize("mode", ["inference", "training"])
def test_a_compiled_case_runs_its_forward_through_the_compiler(case, monkeypatch, mode):
    called = []

    def prepare(model, _):
        return Prepared(lambda image: called.append(image.shape) or model(image))

    monkeypatch.setattr(torch_compile, "prepare", prepare)
    step(replace(case, mode=mode, runtime="compile"), PLAIN)()
    assert called == [(2, 3, 32, 32)]
    step(replace(case, mode=mode, runtime="compile"), PLAIN, "meta")()  # nothing to compile there
    assert len(called) == 1


def test_a_captured_case_is_the_whole_step_captured(case, monkeypatch):
    captured = []
    monkeypatch.setattr(cuda_graph, "capture", lambda ready: captured.append(ready) or "replay")
    ready = step(replace(case, mode="training", runtime="cuda-graph"), PLAIN)
    assert ready.parts == {"step": "replay"}
    assert [list(whole.parts) for whole in captured] == [["forward", "backward", "optimizer"]]


@pytest.mark.usefixtures("small_host")
def test_the_batch_norms_of_what_is_timed_normalise_and_weights_stay(case):
    plain, ready = (workload.network(case, "se", "cpu", statistics=on) for on in (False, True))
    for name, value in plain.named_parameters():
        assert torch.equal(value, ready.get_parameter(name))
    assert torch.equal(plain.bn1.running_var, torch.ones(64))
    assert not torch.equal(ready.bn1.running_var, torch.ones(64))
    again = workload.network(case, "se", "cpu", statistics=True)
    torch.testing.assert_close(ready.state_dict(), again.state_dict())
    # The norm before any module has the same noise and so the same statistics in all variants.
    other = workload.network(case, "plain", "cpu", statistics=True)
    torch.testing.assert_close(ready.bn1.running_var, other.bn1.running_var)
