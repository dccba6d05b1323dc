from math import exp, sqrt

import pytest
import torch

from attnbench.modules import SettingsError, create

PARAMETERS = ("1.weight", "1.bias", "3.weight", "3.bias")


def sigmoid(value: float) -> float:
    return 1 / (1 + exp(-value))


def test_the_forward_is_the_channel_gate_and_then_the_spatial_gate():
    torch.manual_seed(0)
    module = create("cbam", 32).double().eval()
    state = module.state_dict()
    w1, b1, w2, b2 = (state[f"ChannelGate.mlp.{key}"].normal_(std=0.5) for key in PARAMETERS)
    kernel = state["SpatialGate.spatial.conv.weight"].normal_()
    scale, shift, mean, variance = (
        state[f"SpatialGate.spatial.bn.{key}"].uniform_(0.5, 2)
        for key in ("weight", "bias", "running_mean", "running_var")
    )
    height, width = 5, 4
    x = torch.randn(2, 32, height, width, dtype=torch.float64)
    expected = torch.empty_like(x)
    for n in range(2):
        means = torch.stack([x[n, c].sum() / (height * width) for c in range(32)])
        maxima = torch.stack([x[n, c].max() for c in range(32)])
        total = 0
        for pooled in (means, maxima):  # one shared perceptron
            hidden = (torch.einsum("rc,c->r", w1, pooled) + b1).clamp(min=0)
            total = total + torch.einsum("cr,r->c", w2, hidden) + b2
        gated = torch.stack([x[n, c] * sigmoid(total[c]) for c in range(32)])
        maps = (gated.max(dim=0).values, gated.sum(dim=0) / 32)  # the maximum is first
        for row in range(height):
            for column in range(width):
                value = 0.0
                for plane, weights in zip(maps, kernel[0], strict=True):
                    for i in range(7):
                        for j in range(7):
                            r, c = row + i - 3, column + j - 3
                            if 0 <= r < height and 0 <= c < width:
                                value += float(plane[r, c] * weights[i, j])
                value = float((value - mean) / sqrt(variance + 1e-5) * scale + shift)
                expected[n, :, row, column] = gated[:, row, column] * sigmoid(value)
    torch.testing.assert_close(module(x), expected, rtol=1e-12, atol=1e-14)


def test_the_spatial_kernel_reads_the_maximum_first_and_then_the_mean():
    gate = create("cbam", 16).SpatialGate.double().eval()
    gate.spatial.conv.weight.data.zero_()
    gate.spatial.conv.weight.data[0, 0, 3, 3] = 1  # the centre of the first plane
    gate.spatial.bn.weight.data.fill_(sqrt(1 + 1e-5))  # undoes the division: variance 1
    x = torch.randn(1, 16, 3, 3, dtype=torch.float64)
    expected = x * torch.sigmoid(x.max(dim=1, keepdim=True).values)
    torch.testing.assert_close(gate(x), expected, rtol=1e-12, atol=1e-14)


def test_the_spatial_gate_starts_at_a_half_because_its_batch_norm_is_zero():
    module = create("cbam", 32)
    bn = module.SpatialGate.spatial.bn
    assert (bn.weight.item(), bn.bias.item()) == (0, 0)
    assert (bn.eps, bn.momentum) == (1e-5, 0.01)
    x = torch.randn(2, 32, 5, 5)
    assert torch.equal(module.SpatialGate(x), x * 0.5)


def test_the_convolution_starts_kaiming_by_its_fan_out():
    torch.manual_seed(0)
    weight = create("cbam", 16, kernel_size=101).SpatialGate.spatial.conv.weight
    # One output channel of 101 * 101: deviation sqrt(2 / 10201); by fan-in 2 / 20402.
    # Among 20,402 samples the deviation scatters by 0.5%.
    assert weight.std().item() == pytest.approx(sqrt(2 / 10201), rel=0.03)


def test_the_perceptron_starts_with_the_frameworks_weights_and_biases_of_zero():
    torch.manual_seed(0)
    mlp = create("cbam", 64).ChannelGate.mlp
    torch.manual_seed(0)
    first, last = torch.nn.Linear(64, 4), torch.nn.Linear(4, 64)
    assert torch.equal(mlp[1].weight, first.weight)
    assert torch.equal(mlp[3].weight, last.weight)
    assert not mlp[1].bias.any()
    assert not mlp[3].bias.any()


def test_parameters_have_the_authors_names_and_shapes():
    shapes = {key: tuple(value.shape) for key, value in create("cbam", 256).state_dict().items()}
    assert shapes == {
        "ChannelGate.mlp.1.weight": (16, 256),
        "ChannelGate.mlp.1.bias": (16,),
        "ChannelGate.mlp.3.weight": (256, 16),
        "ChannelGate.mlp.3.bias": (256,),
        "SpatialGate.spatial.conv.weight": (1, 2, 7, 7),
        "SpatialGate.spatial.bn.weight": (1,),
        "SpatialGate.spatial.bn.bias": (1,),
        "SpatialGate.spatial.bn.running_mean": (1,),
        "SpatialGate.spatial.bn.running_var": (1,),
        "SpatialGate.spatial.bn.num_batches_tracked": (),
    }


def test_wrong_settings_say_what_would_do():
    with pytest.raises(SettingsError, match="250 channels do not divide by 16; 240 or 256 would"):
        create("cbam", 250)
    with pytest.raises(SettingsError, match="kernel_size 6 must be odd and positive"):
        create("cbam", 32, kernel_size=6)
