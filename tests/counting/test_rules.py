"""What holds for every rule of counting, and for the twin that they count on."""

import pickle
import warnings
from copy import copy, deepcopy

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from attnbench.counting import EXTRA_RULES, RULES, NotCountedError, Rule, count_all
from attnbench.counting.gaps import missed
from attnbench.counting.rule import OtherPackageError
from attnbench.counting.twin import has_data, twin
from attnbench.hosts.build import build
from attnbench.modules import create

EVERY = RULES | EXTRA_RULES
LEARNABLE = RULES["learnable"]
SHAPE = (2, 3, 9, 7)


class Small(nn.Module):
    """Every kind of thing that a count could disturb."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 128, 3)
        self.norm = nn.BatchNorm2d(128)
        self.attention = create("sa", 128)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.last = nn.Linear(128, 128)
        self.again = nn.Linear(128, 128, bias=False)
        self.again.weight = self.last.weight  # shared
        self.scale = nn.Parameter(torch.ones(128))  # bare
        self.register_buffer("shift", torch.ones(128), persistent=False)
        self.conv.weight.requires_grad_(False)
        self.norm.eval()  # in a network in training mode
        self.norm.register_forward_hook(lambda *_: None)
        self.register_forward_pre_hook(lambda *_: None)

    def forward(self, x):
        x = self.pool(self.attention(self.norm(self.conv(x)).relu())).flatten(1)
        return self.again(self.last(x * self.scale + self.shift))


def small(device: str) -> Small:
    torch.manual_seed(0)
    with torch.device(device):
        model = Small()
    if device == "cpu":
        model.last.weight.grad = torch.ones(128, 128)
    return model


def everything(model: nn.Module) -> dict:
    """All that the modules of a network hold; tensors by identity and version."""

    def fixed(value):
        if isinstance(value, torch.Tensor):
            facts = (value.device, value.dtype, value.requires_grad, value._version)
            return (id(value), id(value.grad) if value.is_leaf else None, *facts)
        if isinstance(value, nn.Module):
            return id(value)
        if isinstance(value, dict):
            return {key: fixed(inner) for key, inner in value.items()}
        return copy(value)

    return {name: fixed(vars(module)) for name, module in model.named_modules()}


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("rule", EVERY.values(), ids=EVERY)
def test_a_count_leaves_the_network_as_it_was(rule, device):
    model = small(device)
    before, state = everything(model), deepcopy(model.state_dict())
    random = torch.get_rng_state()
    rule.count(model, SHAPE)
    assert everything(model) == before
    assert list(model.state_dict()) == list(state)
    if device == "cpu":
        assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("rule", EVERY.values(), ids=EVERY)
def test_a_count_is_the_same_wherever_the_network_is_and_whatever_its_mode(rule):
    on_cpu, on_meta = small("cpu"), small("meta")
    first = rule.count(on_cpu, SHAPE)
    assert rule.count(on_meta, SHAPE) == first
    assert rule.count(on_cpu.eval(), SHAPE) == first
    assert rule.count(on_cpu, SHAPE) == first


@pytest.mark.parametrize("rule", EVERY.values(), ids=EVERY)
def test_a_count_is_made_of_plain_integers(rule):
    count = rule.count(small("meta"), SHAPE)
    figures = [count.params, count.operations, *(count.not_counted or {}).values()]
    assert {type(figure) for figure in figures} <= {int, type(None)}
    assert count.params or count.operations
    assert all(times > 0 for times in (count.not_counted or {}).values())


class Made(TorchDispatchMode):
    """The most elements that any operator put into memory, without meta and fake tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor) and has_data(tensor):
                self.largest = max(self.largest, tensor.numel())
        return out


@pytest.mark.parametrize(
    "name",
    [name for name in EVERY if not name.startswith("fvcore")],  # whose docstring says why
)
def test_a_count_allocates_no_weight_and_no_activation(name):
    model = small("cpu")
    with Made() as made:
        EVERY[name].count(model, SHAPE)
    assert made.largest < 10  # thop's buffers hold one number, its kernels' sizes 3 * 3


def test_the_meter_of_allocations_sees_a_copy():
    with Made() as made:
        deepcopy(small("cpu").last)
    assert made.largest == 128 * 128


def test_a_twin_is_the_network_without_storage_in_eval_mode():
    model = small("cpu")
    with Made() as made:
        network, images = twin(model, SHAPE)
    assert made.largest == 0
    assert not any(module.training for module in network.modules())
    assert type(network) is Small
    names = [name for name, _ in network.named_modules()]
    assert names == [name for name, _ in model.named_modules()]
    assert (images.shape, images.dtype, images.device.type) == (SHAPE, torch.float32, "cpu")
    for part in (nn.Module.named_parameters, nn.Module.named_buffers):
        ours, theirs = dict(part(network)), dict(part(model))
        assert list(ours) == list(theirs)
        for name, tensor in theirs.items():
            assert not has_data(ours[name])
            assert ours[name].device.type == "cpu"
            assert ours[name].shape == tensor.shape
            assert ours[name].dtype == tensor.dtype
            assert ours[name].requires_grad == tensor.requires_grad
            assert ours[name].stride() == tensor.stride()
            assert isinstance(ours[name], nn.Parameter) == isinstance(tensor, nn.Parameter)
    assert network.last.weight.grad is None


def test_a_twin_for_images_with_data_is_a_copy_on_the_cpu():
    model, given = small("cpu"), torch.ones(SHAPE)
    network, images = twin(model, given)
    assert images is given
    assert not network.training
    weights = dict(network.named_parameters())
    for name, tensor in model.named_parameters():
        assert torch.equal(weights[name], tensor)
        assert weights[name].data_ptr() != tensor.data_ptr()


def test_a_twin_is_counted_for_the_dtype_and_layout_of_given_images():
    given = torch.empty(SHAPE, device="meta", dtype=torch.bfloat16)
    _, images = twin(small("meta"), given.to(memory_format=torch.channels_last))
    assert images.dtype == torch.bfloat16
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_a_twin_shares_what_the_network_shares():
    network, _ = twin(small("cpu"), SHAPE)
    assert network.again.weight is network.last.weight
    assert "shift" not in network.state_dict()
    relu = nn.ReLU()
    pair, _ = twin(nn.Sequential(relu, relu), SHAPE)
    assert pair[0] is pair[1]
    assert pair[0] is not relu


def test_every_rule_has_a_name_a_definition_and_a_source():
    for name, rule in EVERY.items():
        assert rule.name == name
        assert rule.definition.endswith(".")
        assert rule.source


def test_count_all_is_every_rule():
    model = small("meta")
    assert count_all(model, SHAPE) == {
        name: rule.count(model, SHAPE) for name, rule in RULES.items()
    }


class Caching(nn.Module):
    """Keeps a table from its first forward, as modules with positions do."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.tables = nn.Parameter(torch.ones(3, 5)), {}

    def forward(self, x):
        if x.device not in self.tables:
            self.tables[x.device] = self.weight.T @ self.weight  # 5 * 3 * 5
        return x * self.tables[x.device].sum()

    def train(self, mode=True):
        self.tables = {}  # as timm's levit, by every call
        return super().train(mode)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_the_second_forward_is_counted(device):
    with torch.device(device):
        model = Caching()
    counts = count_all(model, SHAPE)
    assert counts["macs"].operations == counts["torch"].operations == 0
    assert counts["fvcore"].operations == 0
    assert counts["executed"].details["kernels"] == 2  # a sum, and the product with it
    assert model.tables == {}


class Asking(nn.Module):
    def forward(self, x):
        return x * 2 if x.sum().item() > 0 else x


def test_a_forward_that_depends_on_data_is_computed_once_and_says_so():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), Asking())
    counts = count_all(model, SHAPE)
    assert set(counts) == set(RULES)
    assert counts["macs"].operations == 2 * 9 * 7 * 4 * 3
    for count in counts.values():
        assert count.computed.endswith(
            "the forward depends on the values in its tensors (aten._local_scalar_dense.default)"
        )
    assert all(count.computed is None for count in count_all(small("cpu"), SHAPE).values())


def test_a_weight_that_a_forward_has_computed_does_not_stop_the_counts():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, and in use
        model = nn.utils.weight_norm(nn.Conv2d(3, 4, 1, bias=False))
    model(torch.ones(SHAPE))
    assert count_all(model, SHAPE)["macs"].operations == 2 * 9 * 7 * 4 * 3


def test_rules_that_fail_are_named_and_the_others_keep_their_counts(monkeypatch):
    def marks(model, _):
        model.register_buffer("mark", torch.zeros(1))
        model.requires_grad_(requires_grad=False)
        raise ValueError("marked")

    with torch.device("meta"):
        model = nn.Sequential(nn.Conv2d(3, 4, 1), Asking())
    first = Rule("first", "Marks.", "here", marks)
    monkeypatch.setattr("attnbench.counting.network.RULES", {"first": first} | RULES)
    with pytest.raises(NotCountedError) as raised:
        count_all(model, SHAPE)
    error = pickle.loads(pickle.dumps(raised.value))
    assert error.counts["learnable"].params == 3 * 4 + 4
    assert {"first", "macs", "executed"} <= set(error.failed)
    assert set(error.failed) | set(error.counts) == {"first", *RULES}
    assert str(error).startswith("by first: ValueError: marked; by macs, ")
    assert str(error).count("the forward depends on the values in its tensors") == 1


def test_a_package_that_is_not_there_is_no_reason_to_count_with_data(monkeypatch):
    def replaced(*_):
        raise OtherPackageError("another package")

    rules = {name: RULES[name] for name in ("learnable", "macs")}
    other = Rule("other", "Counts by a package.", "here", replaced)
    monkeypatch.setattr("attnbench.counting.network.RULES", rules | {"other": other})
    for model, data in ((nn.Conv2d(3, 4, 1), False), (nn.Sequential(Asking()), True)):
        with pytest.raises(NotCountedError) as raised:
            count_all(model, SHAPE)
        assert raised.value.failed == {"other": "another package"}
        assert set(raised.value.counts) == set(rules)
        for count in raised.value.counts.values():
            assert (count.computed is not None) == data
            assert "another package" not in str(count.computed)


@torch.jit.script
def scripted_gate(x: torch.Tensor) -> torch.Tensor:
    return x * x.mean([2, 3], keepdim=True).sigmoid()


class Scripted(nn.Module):
    """A scripted layer, a traced one, and a scripted function."""

    def __init__(self) -> None:
        super().__init__()
        self.scripted = torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()))
        self.traced = torch.jit.trace(nn.Conv2d(4, 5, 1), torch.ones(1, 4, 2, 2))

    def forward(self, x):
        return scripted_gate(self.traced(self.scripted(x)))


def test_scripted_modules_are_counted_by_what_runs_and_not_by_hooks():
    with pytest.raises(NotCountedError) as raised:
        count_all(Scripted(), SHAPE)
    error = raised.value
    reason = "modules compiled by torch.jit take no hooks, by which this rule counts"
    assert error.failed == {"thop": reason, "fvcore": reason}
    assert error.counts["macs"].operations == 2 * 9 * 7 * (3 * 4 + 4 * 5)
    assert error.counts["torch"].operations == 2 * error.counts["macs"].operations
    assert error.counts["executed"].not_counted == {}
    assert set(missed("leaf", error.counts["leaf"].not_counted)) == {
        "aten.convolution",
        "aten._convolution",
    }
    assert all(count.computed is None for count in error.counts.values())


@pytest.mark.parametrize("name", RULES)
def test_a_rule_counts_sk_for_one_image_though_its_inner_batch_norm_sees_one_value(name):
    with torch.device("meta"):
        network = build("resnet50", "sk")
    count = RULES[name].count(network, (1, 3, 32, 32))
    assert count.params or count.operations


def test_learnable_counts_bare_and_shared_parameters_once_and_frozen_ones_never():
    count = LEARNABLE.count(small("cpu"), SHAPE)
    conv, norm, attention = 128, 2 * 128, 6 * 1  # frozen weight; 128 / (2 * 64) a gate
    last, again, scale = 128 * 128 + 128, 0, 128
    assert count.params == conv + norm + attention + last + again + scale
    assert count.operations is None
    assert count.not_counted is None


# As published, or exact where papers print two digits.
PARAMETERS = {
    None: (25_557_032, 44_549_160),
    "se": (25_557_032 + 2_530_992, 44_549_160 + 4_777_712),
    "cbam": (25_557_032 + 2_532_592, 44_549_160 + 4_781_012),
    "eca": (25_557_032 + 80, 44_549_160 + 157),
    "gc": (25_557_032 + 2_548_000, 44_549_160 + 4_814_321),
    "sk": (25_557_032 + 597_464, 44_549_160 + 1_128_952),
    "sge": (25_557_032 + 2_048, 44_549_160 + 4_224),
    # 6 parameters for each of C / 128 channels: 6 * (2 * 3 + 4 * 4 + 8 * 6 + 16 * 3)
    "sa": (25_557_032 + 708, 44_549_160 + 1_524),
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_learnable_is_the_table_of_parameters(name):
    with torch.device("meta"):
        counts = [LEARNABLE.count(build(host, name), SHAPE) for host in ("resnet50", "resnet101")]
    assert tuple(count.params for count in counts) == PARAMETERS[name]


class Sparse(nn.Module):
    """Makes a sparse tensor of a map, in one of two layouts."""

    def __init__(self, by_rows: bool) -> None:
        super().__init__()
        self.by_rows = by_rows

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = x.flatten(2)[0]
        matrix = rows.to_sparse_csr() if self.by_rows else rows.to_sparse()
        return x + matrix.to_dense().view_as(x)


@pytest.mark.parametrize("by_rows", [False, True])
@pytest.mark.filterwarnings("ignore:Sparse")
def test_sparse_tensors_are_not_counted_and_every_rule_says_so_in_the_same_words(
    by_rows: bool,
) -> None:
    with pytest.raises(NotCountedError) as caught:
        count_all(nn.Sequential(nn.Conv2d(3, 4, 1), Sparse(by_rows)), (1, 3, 2, 2))
    (reason,) = {*caught.value.failed.values()}
    assert reason.startswith("the forward makes sparse tensors, whose operations depend on how ")


class Grows(nn.Module):
    """Convolves once more from its fourth forward on."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return self.conv(x) if self.calls < 4 else self.conv(self.conv(x))


def test_no_rule_counts_what_the_forwards_of_another_have_changed():
    counts = count_all(Grows().eval(), (1, 4, 8, 8))
    # 4 * 4 multiplications for each of 64 places.
    assert {counts[rule].operations for rule in ("macs", "thop", "fvcore")} == {1024}
    assert counts["executed"].details["macs"] == 1024
