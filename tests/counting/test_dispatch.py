"""The trace of operators: what is added up, what is listed, and what is free."""

from contextlib import nullcontext

import pytest
import torch
from torch import nn
from torch.nn import functional

from attnbench.counting.as_without_mode import TakenApart
from attnbench.counting.dispatch import Trace, operator_name, trace, trace_modules
from attnbench.counting.operators import OPERATORS
from attnbench.counting.operators.cost import Operator
from attnbench.counting.twin import copy_with, fake, fake_mode, twin


class Apply(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def listed(function, shape=(2, 4, 6)) -> dict[str, int]:
    return dict(trace(*twin(Apply(function), shape)).not_counted)


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.view(8, 6),
        lambda x: x.reshape(8, 6),
        lambda x: x.flatten(1).unflatten(1, (2, -1)),
        lambda x: x.transpose(1, 2),
        lambda x: x.permute(2, 0, 1),
        lambda x: x[:, 1:3, ::2],
        lambda x: x[..., None].squeeze(-1),
        lambda x: x.chunk(2, dim=1)[0],
        lambda x: x.split(2, dim=2)[0],
        lambda x: x[:1].expand(5, 4, 6),
        lambda x: x.detach(),
        torch.empty_like,
        lambda x: torch.empty(3, device=x.device),
        lambda x: x[:].unsqueeze_(0).squeeze_(0).transpose_(0, 1),
        lambda x: x[0].t_(),
        lambda x: x[:].as_strided_((4, 2), (2, 1)),
    ],
)
def test_views_and_empty_tensors_are_free(view):
    assert listed(view) == {}


def test_a_reshape_that_has_to_copy_is_a_copy():
    assert listed(lambda x: x.transpose(1, 2).reshape(-1)) == {"aten.clone": 1}


def test_every_other_operator_is_listed_with_its_times():
    def function(x):
        return (x + x + 1).sigmoid() * x.mean((1, 2), keepdim=True)

    # Two overloads of an addition, of a tensor and of a number, have one name.
    assert listed(function) == {"aten.add": 2, "aten.sigmoid": 1, "aten.mean": 1, "aten.mul": 1}


def test_what_a_table_has_is_added_up_and_not_listed():
    def per_element(out, left, right):
        return out.numel() + (0 if right is left else 1000)

    table = {"aten.add": Operator(macs=per_element)}
    recorded = trace(*twin(Apply(lambda x: ((x + x)[:1] + 1).relu()), (2, 4, 6)), table)
    assert recorded.total.macs == 2 * 4 * 6 + (4 * 6 + 1000)
    assert recorded.total.kernels == 2
    assert recorded.not_counted == {"aten.relu": 1}


def test_a_trace_needs_no_network():
    x = torch.ones(3)
    with Trace() as recorded:
        x.sin()
        x.cos().sin()
    assert recorded.not_counted == {"aten.sin": 2, "aten.cos": 1}


def test_in_inference_mode_composite_operators_are_taken_apart_too():
    layer, x = nn.Linear(4, 2), torch.ones(2, 3, 4)
    traces = []
    for mode in (torch.no_grad, torch.inference_mode):
        with mode(), Trace() as recorded:
            layer(x).flatten(1).softmax(1)
        traces.append((recorded.not_counted, recorded.peak))
    assert traces[0] == traces[1]
    assert traces[0][0] == {"aten.addmm": 1, "aten._softmax": 1}


def test_an_operators_name_leaves_its_overload_out():
    assert (
        operator_name(torch.ops.aten.add.Tensor)
        == operator_name(torch.ops.aten.add.Scalar)
        == "aten.add"
    )


def network() -> nn.Module:
    inner = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())
    return nn.Sequential(inner, nn.Sigmoid(), nn.Conv2d(4, 4, 1), nn.Sigmoid())


def outside(model, covers) -> dict[str, int]:
    return dict(trace(model, torch.ones(1, 3, 5, 5), covers=covers).not_counted)


def test_what_ran_in_no_covered_module_is_listed():
    assert outside(network(), lambda _: False) == {
        "aten.convolution": 2,
        "aten.relu": 1,
        "aten.sigmoid": 2,
    }
    covers = {
        nn.Conv2d: {"aten.relu": 1, "aten.sigmoid": 2},
        nn.Sigmoid: {"aten.convolution": 2, "aten.relu": 1},
        # A counted container stands for its additions, but no formula but a layer's for products.
        nn.Sequential: {"aten.convolution": 2},
    }
    for kind, expected in covers.items():
        assert outside(network(), lambda module, kind=kind: type(module) is kind) == expected


def test_a_covered_module_inside_a_covered_one_does_not_uncover_the_rest():
    model = network()
    # The inner Sequential and its convolution are covered; its ReLU runs after the convolution.
    covered = {model[0], model[0][0]}
    assert outside(model, lambda module: module in covered) == {
        "aten.sigmoid": 2,
        "aten.convolution": 1,
    }


class Twice(nn.Conv2d):
    """A layer by its class, which convolves its output once more."""

    def forward(self, x):
        return super().forward(super().forward(x)) @ x.mT


def test_a_layer_stands_for_one_product_a_call():
    model = nn.Sequential(Twice(3, 3, 1), nn.ReLU(), Twice(3, 3, 1))
    listed = outside(model, lambda module: isinstance(module, (nn.Conv2d, nn.ReLU)))
    assert listed == {"aten.convolution": 2, "aten.bmm": 2}


class Gate(nn.ReLU):
    """An activation by its class, with products of its own."""

    def forward(self, x):
        return super().forward(x @ x.mT)


def test_a_layer_without_products_stands_for_none():
    assert outside(Gate(), lambda _: True) == {"aten.bmm": 1}


def test_a_recurrent_layer_stands_for_all_its_products():
    model = nn.LSTM(4, 5)
    recorded = trace(model, torch.ones(3, 2, 4), covers=lambda _: True)
    assert recorded.not_counted == {}


def test_what_is_covered_is_added_up_where_the_table_has_it():
    table = {"aten.relu": Operator(elementwise=lambda out, *_: out.numel())}
    recorded = trace(network(), torch.ones(1, 3, 5, 5), table, covers=lambda _: True)
    assert recorded.total.elementwise == 4 * 5 * 5
    assert recorded.not_counted == {}


def test_a_trace_leaves_no_hook():
    model = network()
    outside(model, lambda _: True)
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_every_call_of_a_known_module_has_its_cost():
    relu = nn.ReLU()
    model = nn.Sequential(relu, nn.Sigmoid(), relu, nn.Flatten())
    costs = {nn.ReLU: lambda module, x, out: x.numel() + out.numel() + 100 * (module is relu)}
    calls, not_counted = trace_modules(
        model, torch.ones(2, 5), lambda module: costs.get(type(module))
    )
    assert calls == [(relu, 120), (relu, 120)]
    assert not_counted == {"aten.sigmoid": 1}


class FromTokens(nn.Module):
    """Returns a map that is a view of its tokens: channels last, whatever came in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = nn.Linear(channels, channels)

    def forward(self, x):
        return self.mix(x.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(x.shape)


@pytest.mark.parametrize("images", [1, 2])
def test_a_convolution_of_a_view_keeps_the_layout_that_it_has_with_data(images: int) -> None:
    # Of one image, the view's batch stride is not that of a map with channels last.
    network = nn.Sequential(FromTokens(8), nn.Conv2d(8, 8, 3, padding=1), FromTokens(8))
    shape = (images, 8, 4, 4)
    without_data = trace(*twin(network, shape), OPERATORS)
    with_data = trace(*twin(network, torch.ones(shape)), OPERATORS)
    assert without_data.rows == with_data.rows
    assert without_data.peak == with_data.peak


NORMS = [
    nn.GroupNorm(2, 4),
    nn.InstanceNorm2d(4, affine=True),
    nn.BatchNorm2d(4).train(),
    nn.LayerNorm([4, 3, 5]),
]


def bytes_of(norm, mode):
    with mode, torch.no_grad(), Trace(OPERATORS) as recorded:
        norm(torch.ones(2, 4, 3, 5, dtype=torch.bfloat16))
    return recorded.total.bytes_written, recorded.peak


@pytest.mark.parametrize("norm", NORMS, ids=lambda norm: type(norm).__name__)
def test_a_norm_of_a_half_precision_map_keeps_its_statistics_as_its_weight_is(norm):
    without_data = bytes_of(copy_with(norm, fake), fake_mode())
    assert without_data == bytes_of(norm, nullcontext())


LAYOUTS = [torch.contiguous_format, torch.channels_last]


def gradients(norm, gradient, x):
    """Return the gradients of a norm's input, weight and bias; LayerNorm takes the last side."""
    w, each, aten = torch.ones_like(x[0, :, 0, 0]), [True, True, True], torch.ops.aten
    if norm == "batch":
        return aten.native_batch_norm_backward(gradient, x, w, w, w, w, w, True, 1e-5, each)
    if norm == "group":
        of_groups = torch.ones(2, 2)
        return aten.native_group_norm_backward(
            gradient, x, of_groups, of_groups, w, 2, 4, 15, 2, each
        )
    gradient, x, kept = gradient.permute(0, 2, 3, 1), x.permute(0, 2, 3, 1), torch.ones(2, 3, 5, 1)
    return aten.native_layer_norm_backward(gradient, x, [4], kept, kept, w, w, each)


@pytest.mark.parametrize("norm", ["batch", "group", "layer"])
@pytest.mark.parametrize("of_input", LAYOUTS)
@pytest.mark.parametrize("of_gradient", LAYOUTS)
def test_the_gradient_of_a_norms_input_is_laid_out_as_on_a_cpu(norm, of_input, of_gradient):
    if norm == "group":
        of_gradient = of_input  # else the kernel refuses them
    x, gradient = (
        torch.ones(2, 4, 3, 5).to(memory_format=layout) for layout in (of_input, of_gradient)
    )

    def strides(convert, mode):
        with mode, Trace():
            return [one.stride() for one in gradients(norm, convert(gradient), convert(x))]

    assert strides(fake, fake_mode()) == strides(torch.clone, nullcontext())


class NormOfTokens(nn.Module):
    """A product with the LayerNorm of an InstanceNorm, as tokens: its gradient is a copy."""

    def __init__(self):
        super().__init__()
        self.of_maps, self.of_tokens = nn.InstanceNorm2d(4, affine=True), nn.LayerNorm(4)

    def forward(self, x):
        return x * self.of_tokens(self.of_maps(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def test_a_gradient_that_is_copied_from_tokens_to_a_map_is_counted_as_it_runs():
    """The copy of (2, 4, 8, 6) in float32: 1536 bytes read and written, 7048 alive."""

    def traced(network, x, mode):
        recorded = Trace(OPERATORS)
        with mode, recorded:
            network(x).sum().backward()
        return recorded

    network, x = NormOfTokens(), torch.ones(2, 4, 8, 6)
    with_data = traced(network, x.clone().requires_grad_(), nullcontext())
    without_data = traced(copy_with(network, fake), fake(x).requires_grad_(), fake_mode())
    assert without_data.total == with_data.total
    assert without_data.peak == with_data.peak == 7048
    assert with_data.by(lambda _, name: name)["aten.clone"].bytes_read == 1536


class SetsRows(nn.Module):
    """Sets two rows to numbers that its forward makes."""

    def forward(self, x):
        return x.index_put((torch.tensor([0, 1]),), torch.tensor([1.0, 2.0])[:, None])


def test_constants_of_a_forward_are_alive_and_are_no_unknown_operators():
    """The result in float32, two numbers of 8 bytes and two of 4."""
    for given in ((4, 8), torch.rand(4, 8)):
        recorded = trace(*twin(SetsRows(), given), OPERATORS)
        assert recorded.peak == 4 * (4 * 8) + 2 * 8 + 2 * 4
        assert not recorded.not_counted


class OneHot(nn.Module):
    def forward(self, x):
        return functional.one_hot(input=x, num_classes=10)


def test_classes_are_set_in_a_map_of_zeros():
    """As on a CPU: their range, 20 zeros of 8 bytes, and one of each 10 is set."""
    classes = torch.tensor([3, 7])
    for given in (classes.to("meta"), classes):
        recorded = trace(*twin(OneHot(), given), OPERATORS)
        by_name = recorded.by(lambda _, name: name)
        assert [*by_name] == ["aten.aminmax", "aten.zeros", "aten.scatter_"]
        assert by_name["aten.aminmax"].reductions == 2 * 2
        assert recorded.peak == 20 * 8


def test_taken_apart_classes_are_those_of_pytorch():
    """Also by name; what PyTorch refuses is refused as it does."""
    classes = torch.tensor([[3, 7]])
    with TakenApart():
        for count in (-1, 10):
            taken = functional.one_hot(input=classes, num_classes=count)
            assert torch.equal(taken, torch.eye(10 if count > 0 else 8, dtype=torch.long)[classes])
        for wrong in ((classes.int(), 10), (classes, 0), (classes, -2)):
            with pytest.raises(RuntimeError):
                functional.one_hot(*wrong)
