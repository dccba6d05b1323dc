from math import exp, sqrt

import pytest
import torch

from attnbench.measuring.memory import peak_live_bytes
from attnbench.modules import SettingsError, create


def test_the_forward_gates_a_position_by_its_likeness_to_the_mean():
    torch.manual_seed(0)
    groups, width, positions = 4, 3, 15
    module = create("sge", groups * width, groups=groups).double()
    weight = module.state_dict()["weight"].normal_().flatten().tolist()
    bias = module.state_dict()["bias"].normal_().flatten().tolist()
    x = torch.randn(2, groups * width, 5, 3, dtype=torch.float64)
    expected = torch.empty_like(x)
    for n in range(2):
        for g in range(groups):
            group = x[n, g * width : (g + 1) * width]
            likeness = torch.zeros(5, 3, dtype=torch.float64)
            for channel in group:
                likeness += channel * (channel.sum() / positions)
            mean = float(likeness.sum()) / positions
            # Unbiased: divided by one less than the number of positions.
            deviation = sqrt(float(((likeness - mean) ** 2).sum()) / (positions - 1))
            for row in range(5):
                for column in range(3):
                    normed = (float(likeness[row, column]) - mean) / (deviation + 1e-5)
                    gate = 1 / (1 + exp(-normed * weight[g] - bias[g]))
                    part = slice(g * width, (g + 1) * width)
                    expected[n, part, row, column] = group[:, row, column] * gate
    torch.testing.assert_close(module(x), expected, rtol=1e-11, atol=1e-13)


def test_the_deviation_is_the_unbiased_one():
    # One group of one channel, two positions, 3 and 1: mean 2, likeness 6 and 2, their mean 4,
    # unbiased deviation sqrt((4 + 4) / 1) = 2 sqrt(2), biased 2.
    module = create("sge", 1, groups=1).double()
    module.weight.data.fill_(1)
    module.bias.data.fill_(0)
    x = torch.tensor([3.0, 1.0], dtype=torch.float64).reshape(1, 1, 1, 2)
    normed = 2 / (2 * sqrt(2) + 1e-5)
    expected = [3 / (1 + exp(-normed)), 1 / (1 + exp(normed))]
    assert module(x).flatten().tolist() == pytest.approx(expected, rel=1e-12)


def test_it_starts_as_one_gate_for_all_at_sigmoid_of_1():
    module = create("sge", 128).double()
    assert module.weight.eq(0).all()
    assert module.bias.eq(1).all()
    x = torch.randn(2, 128, 5, 3, dtype=torch.float64)
    torch.testing.assert_close(module(x), x / (1 + exp(-1)), rtol=1e-14, atol=0)


@pytest.mark.parametrize("channels", [64, 256, 2048])
def test_every_width_has_64_groups_of_one_weight_and_one_bias(channels):
    shapes = {key: tuple(value.shape) for key, value in create("sge", channels).named_parameters()}
    assert shapes == {"weight": (1, 64, 1, 1), "bias": (1, 64, 1, 1)}


def test_a_map_of_one_position_has_no_deviation_as_its_docstring_says():
    module = create("sge", 64)
    with pytest.warns(UserWarning, match="degrees of freedom"):
        out = module(torch.ones(1, 64, 1, 1))
    assert out.isnan().all()


def test_wrong_widths_say_which_would_do():
    with pytest.raises(SettingsError, match="100 channels do not divide by 64; 64 or 128 would"):
        create("sge", 100)


def test_its_peak_is_that_of_the_authors_code():
    module, x = create("sge", 256).to("meta"), torch.empty(1, 256, 8, 8, device="meta")
    result, maps = 4 * 256 * 8 * 8, 4 * 64 * 8 * 8
    # At the last product live its result and three maps of 64 groups: likeness, scaled, gate.
    with torch.no_grad():
        assert peak_live_bytes(lambda: module(x)) == result + 3 * maps
