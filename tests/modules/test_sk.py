from math import sqrt

import pytest
import torch
from torch import Tensor

from attnbench.modules import SettingsError, create

CHANNELS = 64


def convolve(x: Tensor, weight: Tensor, stride: int, groups: int, dilation: int) -> Tensor:
    """A 3x3 convolution that keeps the map, position by position: (C, H, W) -> (C, H', W')."""
    channels, height, width = x.shape
    rows, columns = (height - 1) // stride + 1, (width - 1) // stride + 1
    padded = x.new_zeros(channels, height + 2 * dilation, width + 2 * dilation)
    padded[:, dilation:-dilation, dilation:-dilation] = x
    out = x.new_zeros(channels, rows, columns)
    size = channels // groups
    for group in range(groups):
        part = slice(group * size, (group + 1) * size)
        for row in range(rows):
            for column in range(columns):
                down = slice(row * stride, row * stride + 2 * dilation + 1, dilation)
                right = slice(column * stride, column * stride + 2 * dilation + 1, dilation)
                patch = padded[part, down, right]
                out[part, row, column] = torch.einsum("ocij,cij->o", weight[part], patch)
    return out


def norm(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    """A batch norm in eval mode over the first dimension."""
    weight, bias, mean, variance = (
        state[f"{name}.{key}"].reshape(-1, *[1] * (x.dim() - 1))
        for key in ("weight", "bias", "running_mean", "running_var")
    )
    return (x - mean) / torch.sqrt(variance + 1e-5) * weight + bias


PLAIN = {"groups": (1, 32), "dilation": (1, 1)}  # the default, of width / 16
SKNET = {"groups": (32, 32), "dilation": (1, 2)}


@pytest.mark.parametrize(("branches", "settings"), [(PLAIN, {}), (SKNET, SKNET | {"squeezed": 6})])
@pytest.mark.parametrize("stride", [1, 2])
def test_the_forward_mixes_the_branches_by_a_softmax(stride, branches, settings):
    torch.manual_seed(0)
    module = create("sk", CHANNELS, stride=stride, **settings).double().eval()
    one, two = zip(branches["groups"], branches["dilation"], strict=True)
    state = module.state_dict()
    for key, value in state.items():
        if key.endswith("running_var"):
            value.uniform_(0.5, 2)
        elif value.is_floating_point():
            value.normal_(std=0.5)
    x = torch.randn(2, CHANNELS, 5, 3, dtype=torch.float64)
    images = []
    for n in range(2):
        dense = norm(convolve(x[n], state["conv2.weight"], stride, *one), state, "bn2")
        grouped = norm(convolve(x[n], state["conv2g.weight"], stride, *two), state, "bn2g")
        dense, grouped = dense.clamp(min=0), grouped.clamp(min=0)
        pooled = (dense + grouped).sum((1, 2)) / dense[0].numel()
        squeezed = torch.einsum("rc,c->r", state["conv_fc1.weight"][:, :, 0, 0], pooled)
        squeezed = norm(squeezed, state, "bn_fc1").clamp(min=0)
        scores = torch.einsum("cr,r->c", state["conv_fc2.weight"][:, :, 0, 0], squeezed)
        # The first `CHANNELS` scores are the dense branch's.
        a, b = torch.exp(scores[:CHANNELS]), torch.exp(scores[CHANNELS:])
        images.append(
            torch.stack(
                [(a[c] * dense[c] + b[c] * grouped[c]) / (a[c] + b[c]) for c in range(CHANNELS)]
            )
        )
    torch.testing.assert_close(module(x), torch.stack(images), rtol=1e-11, atol=1e-12)


def test_one_branch_is_dense_and_one_has_32_groups_and_nothing_has_a_bias():
    parameters = create("sk", CHANNELS).named_parameters()
    shapes = {key: tuple(value.shape) for key, value in parameters}
    assert shapes == {
        "conv2.weight": (64, 64, 3, 3),
        "bn2.weight": (64,),
        "bn2.bias": (64,),
        "conv2g.weight": (64, 64 // 32, 3, 3),
        "bn2g.weight": (64,),
        "bn2g.bias": (64,),
        "conv_fc1.weight": (64 // 16, 64, 1, 1),
        "bn_fc1.weight": (4,),
        "bn_fc1.bias": (4,),
        "conv_fc2.weight": (2 * 64, 4, 1, 1),
    }


def test_convolutions_start_as_the_hosts_do():
    torch.manual_seed(0)
    module = create("sk", 256)
    # Kaiming by fan-out: output channels times 3 * 3 or 1 * 1. The smallest of them has 16 * 256
    # weights, whose deviation scatters by 1.1%.
    for name, fan_out in (("2", 256 * 9), ("2g", 256 * 9), ("_fc1", 16), ("_fc2", 512)):
        deviation = module.get_submodule(f"conv{name}").weight.std().item()
        assert deviation == pytest.approx(sqrt(2 / fan_out), rel=0.05)
    for name in ("bn2", "bn2g", "bn_fc1"):
        assert module.get_submodule(name).weight.eq(1).all()
        assert module.get_submodule(name).bias.eq(0).all()


def test_wrong_widths_say_which_would_do():
    with pytest.raises(SettingsError, match="48 channels do not divide by 32; 32 or 64 would"):
        create("sk", 48)
    with pytest.raises(SettingsError, match="40 channels do not divide by 16; 32 or 48 would"):
        create("sk", 40, groups=(1, 8))
