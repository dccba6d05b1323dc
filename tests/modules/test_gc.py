from math import sqrt

import pytest
import torch

from attnbench.modules import SettingsError, create

ADD = "channel_add_conv"


def test_the_forward_adds_the_transformed_context():
    torch.manual_seed(0)
    module = create("gc", 32, reduction=8).double()
    state = {key: value.normal_() for key, value in module.state_dict().items()}
    mask = state["conv_mask.weight"].flatten()
    x = torch.randn(2, 32, 5, 3, dtype=torch.float64)
    expected = torch.empty_like(x)
    for n in range(2):
        positions = x[n].reshape(32, 15)
        scores = torch.einsum("c,cp->p", mask, positions) + state["conv_mask.bias"]
        weights = torch.exp(scores) / torch.exp(scores).sum()
        context = torch.stack([(positions[c] * weights).sum() for c in range(32)])
        reduced = torch.einsum("rc,c->r", state[f"{ADD}.0.weight"][:, :, 0, 0], context)
        reduced = reduced + state[f"{ADD}.0.bias"]
        mean = reduced.sum() / 4
        variance = ((reduced - mean) ** 2).sum() / 4  # a layer norm's is the biased one
        normed = (reduced - mean) / torch.sqrt(variance + 1e-5)
        normed = normed * state[f"{ADD}.1.weight"].flatten() + state[f"{ADD}.1.bias"].flatten()
        last = torch.einsum("cr,r->c", state[f"{ADD}.3.weight"][:, :, 0, 0], normed.clamp(min=0))
        for c in range(32):
            expected[n, c] = x[n, c] + last[c] + state[f"{ADD}.3.bias"][c]
    torch.testing.assert_close(module(x), expected, rtol=1e-11, atol=1e-12)


def test_the_context_is_added_and_never_multiplied():
    module = create("gc", 32)
    module.channel_add_conv[3].bias.data.fill_(2.5)  # the last convolution says 2.5, whatever
    x = torch.randn(2, 32, 5, 5)
    assert torch.equal(module(x), x + 2.5)
    assert torch.equal(module(torch.zeros_like(x)), torch.full_like(x, 2.5))


def test_it_starts_as_the_identity():
    module = create("gc", 32)
    assert not module.channel_add_conv[3].weight.any()
    assert not module.channel_add_conv[3].bias.any()
    x = torch.randn(2, 32, 5, 5)
    assert torch.equal(module(x), x)


def test_the_mask_starts_kaiming_by_its_fan_in():
    torch.manual_seed(0)
    module = create("gc", 16384, reduction=4096)
    # Fan-in 16,384: deviation sqrt(2 / 16384); by fan-out (1) sqrt(2).
    # Among 16,384 samples the deviation scatters by 0.6%.
    assert module.conv_mask.weight.std().item() == pytest.approx(sqrt(2 / 16384), rel=0.03)


def test_every_convolution_has_a_bias_and_the_ratio_is_a_sixteenth():
    shapes = {key: tuple(value.shape) for key, value in create("gc", 256).state_dict().items()}
    assert shapes == {
        "conv_mask.weight": (1, 256, 1, 1),
        "conv_mask.bias": (1,),
        f"{ADD}.0.weight": (16, 256, 1, 1),
        f"{ADD}.0.bias": (16,),
        f"{ADD}.1.weight": (16, 1, 1),
        f"{ADD}.1.bias": (16, 1, 1),
        f"{ADD}.3.weight": (256, 16, 1, 1),
        f"{ADD}.3.bias": (256,),
    }


def test_the_papers_other_ratio_is_a_setting():
    assert create("gc", 256, reduction=4).channel_add_conv[0].out_channels == 64


def test_wrong_widths_say_which_would_do():
    with pytest.raises(SettingsError, match="250 channels do not divide by 16; 240 or 256 would"):
        create("gc", 250)
