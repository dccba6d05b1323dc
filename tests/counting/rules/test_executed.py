"""The trace of every operator: paths, parts, live bytes, precisions, and what it leaves alone."""

from copy import deepcopy
from dataclasses import asdict

import pytest
import torch
from helpers.operators import Apply, costs
from torch import nn

from attnbench.counting.dispatch import Trace
from attnbench.counting.operators import OPERATORS
from attnbench.counting.operators.cost import Cost
from attnbench.counting.rules.executed import RULE, part, trace
from attnbench.hosts.build import build
from attnbench.modules import create


class Gate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Sigmoid())

    def forward(self, x):
        return x * self.inner(x)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = Gate()
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.attention(x.exp()) + x).neg()


def test_operators_are_put_down_to_the_innermost_module_that_runs_them():
    recorded = trace(nn.ModuleDict({"layer": Block()})["layer"], (4, 3))
    assert {key: cost.kernels for key, cost in recorded.rows.items()} == {
        ("", "aten.exp"): 1,
        ("attention.inner.0", "aten.mm"): 1,
        ("attention.inner.1", "aten.sigmoid"): 1,
        ("attention", "aten.mul"): 1,
        ("", "aten.add"): 1,
        ("relu", "aten.relu"): 1,
        ("", "aten.neg"): 1,
    }
    assert {name: cost.kernels for name, cost in recorded.by(part).items()} == {
        "host": 4,
        "attention": 3,
    }


def test_a_part_is_attention_by_the_whole_name_at_any_depth():
    assert part("layer1.0.attention", "") == "attention"
    assert part("layer1.0.attention.fc.0", "") == "attention"
    assert part("layer1.0.self_attention", "") == "host"
    assert part("layer1.0", "aten.attention") == "host"


def test_an_unknown_operator_is_listed_with_its_number_and_costs_nothing():
    airy, bessel = torch.special.airy_ai, torch.special.bessel_y0
    count = RULE.count(Apply(lambda x: bessel(airy(airy(x)) + 1)), (4, 3))
    assert count.not_counted == {"aten.special_airy_ai": 2, "aten.special_bessel_y0": 1}
    known = costs(elementwise=12, read=[12], written=[12])
    assert count.details == asdict(known) | {"peak_live_bytes": count.details["peak_live_bytes"]}
    assert count.operations == 12


# Live bytes.


@pytest.mark.parametrize(
    ("function", "elements"),
    [
        (lambda x: x + 1, 12),
        # the sum is alive while the product is made, then it is gone
        (lambda x: ((x + 1) * 2).neg(), 12 + 12),
        # two sums and their product
        (lambda x: (x + 1) * (x + 2), 12 + 12 + 12),
        (lambda x: (x + 1).relu_().mul_(2), 12),
        (lambda x: (x + 1).T[:2], 12),
        (lambda x: x.T, 0),
        # a part keeps its whole alive
        (lambda x: torch.cat([(x + 1)[:1], x[1:2]]).sum(), 12 + 6),
        # 4 sums, then 12 products beside them; the sums alone at the end
        (lambda x: (s := x.sum(1, keepdim=True), (x * s).sum())[0], 4 + 12 + 1),
        (lambda x: torch.cat([x, x]).sum(1), 24 + 8),
    ],
)
def test_the_peak_of_live_bytes_by_hand(function, elements):
    assert trace(Apply(function), (4, 3)).peak == 4 * elements


def test_the_peak_of_a_small_net_by_hand():
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False),  # 8 * 4 * 3 = 96 elements
        nn.BatchNorm2d(8),  # 96 more
        nn.ReLU(inplace=True),  # none; the convolution's are gone
        nn.Conv2d(8, 16, 1),  # 192 more, beside 96
        nn.AdaptiveAvgPool2d(1),  # 16, beside 192
    )
    assert trace(net, (1, 3, 6, 5)).peak == 4 * (96 + 192)
    assert trace(net[:3], (1, 3, 6, 5)).peak == 4 * (96 + 96)
    assert trace(net, (5, 3, 6, 5)).peak == 5 * 4 * (96 + 192)


def test_an_encoder_layer_runs_as_one_operator_unless_a_hook_stands_in_it():
    """As without a trace: torch takes its parts one by one where a module has a hook."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    whole = trace(layer, (2, 5, 8))
    # 10 tokens: four projections of 8x8, two products of 2 * 5x5x8, two layers of 8x16.
    assert whole.total.macs == 4 * 10 * 8 * 8 + 2 * 2 * 5 * 5 * 8 + 2 * 10 * 8 * 16
    assert (whole.total.kernels, whole.peak, whole.not_counted) == (1, 4 * 2 * 5 * 8, {})
    layer.linear1.register_forward_hook(lambda *_: None)
    parts = trace(layer, (2, 5, 8))
    # Attention, two layers and an activation, two additions, two norms: the same arithmetic.
    assert parts.total.kernels == 8
    for what in ("macs", "elementwise", "reductions"):
        assert getattr(whole.total, what) == getattr(parts.total, what)


# What a trace leaves alone.


def test_the_model_is_untouched():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 128, 3), nn.BatchNorm2d(128), create("sa", 128))
    model[1].eval()
    calls = []
    model[0].register_forward_hook(lambda *_: calls.append("hook"))
    modes = [module.training for module in model.modules()]
    kept, tensors = deepcopy(model.state_dict()), dict(model.state_dict(keep_vars=True))
    hooks = [dict(module._forward_hooks) for module in model.modules()]
    recorded = trace(model, (2, 3, 6, 5))
    assert recorded.total.macs == 2 * 128 * (4 * 3) * 27
    assert [module.training for module in model.modules()] == modes
    assert list(model.state_dict()) == list(kept)
    assert all(torch.equal(model.state_dict()[name], value) for name, value in kept.items())
    after = model.state_dict(keep_vars=True)
    assert all(after[name] is tensor for name, tensor in tensors.items())
    assert [dict(module._forward_hooks) for module in model.modules()] == hooks
    assert not any(module._forward_pre_hooks for module in model.modules())
    assert torch.is_grad_enabled()


def test_following_leaves_no_hook():
    model = Block()
    with Trace(OPERATORS).follow(model):
        assert all(module._forward_hooks for module in model.modules())
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


# Other precisions.


def traffic(module, shape, dtype):
    """The module's on a real CPU, fed with an image of its own precision."""
    network, image = module.to(dtype).eval(), torch.ones(shape, dtype=dtype)
    with torch.no_grad(), Trace(OPERATORS) as recorded:
        network(image)
    return recorded.total


CHAIN = nn.Sequential(
    nn.Conv2d(3, 8, 3),
    nn.BatchNorm2d(8),
    nn.ReLU(),
    nn.AvgPool2d(2),
    nn.Flatten(),
    nn.Linear(16, 5),
)


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (CHAIN, (2, 3, 6, 5)),
        *((create(name, 256), (2, 256, 4, 3)) for name in ("se", "eca", "sk", "sge", "sa")),
    ],
    ids=["chain", "se", "eca", "sk", "sge", "sa"],
)
def test_half_precision_moves_half_the_bytes(module, shape):
    single = traffic(deepcopy(module), shape, torch.float32)
    half = traffic(deepcopy(module), shape, torch.bfloat16)
    assert single.bytes_read > 0
    assert half == Cost(
        single.macs,
        single.elementwise,
        single.reductions,
        single.bytes_read // 2,
        single.bytes_written // 2,
        single.kernels,
    )


@pytest.mark.parametrize(
    ("module", "shape"),
    [(CHAIN, (2, 3, 6, 5)), (create("gc", 256), (2, 256, 4, 3)), (nn.Linear(7, 5), (3, 7))],
    ids=["chain", "gc", "linear"],
)
def test_a_trace_of_a_model_in_half_precision_is_in_half_precision(module, shape):
    half = trace(deepcopy(module).bfloat16(), shape).total
    assert half == traffic(deepcopy(module), shape, torch.bfloat16)


def test_a_tensor_given_to_be_written_is_not_read():
    recorded = trace(Apply(lambda x: torch.add(x, 1, out=torch.empty_like(x))), (4, 3))
    assert recorded.total == costs(elementwise=12, read=[12], written=[12])


def test_every_way_of_allocating_without_filling_is_free():
    recorded = trace(Apply(lambda x: x.new_empty(3)), (4, 3))
    assert recorded.not_counted == {}


def test_the_peak_is_known_for_each_module_and_operator():
    net = nn.Sequential(
        nn.Linear(6, 10, bias=False),  # (4, 10): 160 bytes
        nn.Sigmoid(),  # 160 more, beside its input
        nn.Linear(10, 50, bias=False),  # (4, 50): 800 bytes beside the sigmoid's 160
    )
    recorded = trace(net, (4, 6))
    assert recorded.peak_by(lambda path, _: path) == {"0": 160, "1": 320, "2": 960}
    assert recorded.peak_by(lambda _, operator: operator) == {"aten.mm": 960, "aten.sigmoid": 320}
    assert recorded.peak == 960


def test_the_peaks_of_the_parts_of_a_network_hold_the_peak_of_all():
    with torch.device("meta"):
        network = build("resnet50", "sa")
    count = RULE.count(network, (1, 3, 64, 64))
    peaks = [sums["peak_live_bytes"] for sums in count.parts.values()]
    assert max(peaks) == count.details["peak_live_bytes"]
