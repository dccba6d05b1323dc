import pytest
import torch

from attnbench.modules import SettingsError, create


def test_the_forward_is_the_papers_gate():
    torch.manual_seed(0)
    module = create("se", 32).double()
    w1, b1, w2, b2 = (module.state_dict()[f"fc.{key}"].normal_() for key in PARAMETERS)
    x = torch.randn(2, 32, 5, 3, dtype=torch.float64)
    expected = torch.empty_like(x)
    for n in range(2):
        means = torch.stack([x[n, c].sum() / 15 for c in range(32)])
        hidden = (torch.einsum("rc,c->r", w1, means) + b1).clamp(min=0)
        gate = 1 / (1 + torch.exp(-torch.einsum("cr,r->c", w2, hidden) - b2))
        for c in range(32):
            expected[n, c] = x[n, c] * gate[c]
    torch.testing.assert_close(module(x), expected, rtol=1e-12, atol=1e-14)


PARAMETERS = ("0.weight", "0.bias", "2.weight", "2.bias")


def test_both_linear_layers_have_biases_and_the_reduction_is_16():
    shapes = {key: tuple(value.shape) for key, value in create("se", 256).state_dict().items()}
    assert shapes == {
        "fc.0.weight": (16, 256),
        "fc.0.bias": (16,),
        "fc.2.weight": (256, 16),
        "fc.2.bias": (256,),
    }


def test_initial_values_are_the_frameworks():
    torch.manual_seed(0)
    module = create("se", 64)
    torch.manual_seed(0)
    first, last = torch.nn.Linear(64, 4), torch.nn.Linear(4, 64)
    assert torch.equal(module.fc[0].weight, first.weight)
    assert torch.equal(module.fc[2].weight, last.weight)
    assert torch.equal(module.fc[2].bias, last.bias)


def test_a_reduced_width_is_never_rounded():
    assert create("se", 80).fc[0].out_features == 5  # 80 / 16, not 8
    with pytest.raises(SettingsError, match="250 channels do not divide by 16; 240 or 256 would"):
        create("se", 250)
    with pytest.raises(SettingsError, match="100 channels do not divide by 8; 96 or 104 would"):
        create("se", 100, reduction=8)
