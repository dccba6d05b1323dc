from math import exp

import pytest
import torch

from attnbench.measuring.memory import peak_live_bytes
from attnbench.modules import SettingsError, create


def test_the_forward_gates_two_halves_of_every_group_and_shuffles():
    torch.manual_seed(0)
    groups, half, positions = 3, 2, 15
    channels = groups * 2 * half
    module = create("sa", channels, groups=groups).double()
    state = {key: value.normal_().flatten() for key, value in module.state_dict().items()}
    x = torch.randn(2, channels, 5, 3, dtype=torch.float64)
    joined = torch.empty_like(x)
    for n in range(2):
        for g in range(groups):
            for k in range(half):
                first = g * 2 * half + k  # the channel half comes first in its group
                plane = x[n, first]
                value = state["cweight"][k] * plane.sum() / positions + state["cbias"][k]
                joined[n, first] = plane / (1 + torch.exp(-value))
                second = first + half
                plane = x[n, second]
                mean = plane.sum() / positions
                variance = ((plane - mean) ** 2).sum() / positions  # a group norm's: biased
                normed = (plane - mean) / torch.sqrt(variance + 1e-5)
                normed = normed * state["gn.weight"][k] + state["gn.bias"][k]
                value = state["sweight"][k] * normed + state["sbias"][k]
                joined[n, second] = plane / (1 + torch.exp(-value))
    expected = torch.empty_like(x)
    for c in range(channels):  # channel j of the first or second half goes to 2 j or 2 j + 1
        half_number, place = divmod(c, channels // 2)
        expected[:, 2 * place + half_number] = joined[:, c]
    torch.testing.assert_close(module(x), expected, rtol=1e-12, atol=1e-13)


def test_the_shuffle_interleaves_the_two_halves_of_the_channels():
    module = create("sa", 8, groups=2).double()
    x = torch.arange(1.0, 9.0, dtype=torch.float64).reshape(1, 8, 1, 1)
    order = module(x).flatten() * (1 + exp(-1))  # at the start every gate is sigmoid(1)
    assert order.tolist() == pytest.approx([1, 5, 2, 6, 3, 7, 4, 8], rel=1e-14)


def test_every_gate_starts_at_sigmoid_of_1():
    state = create("sa", 256).state_dict()
    starts = {"cweight": 0, "cbias": 1, "sweight": 0, "sbias": 1, "gn.weight": 1, "gn.bias": 0}
    assert state.keys() == starts.keys()
    for name, start in starts.items():
        assert state[name].eq(start).all(), name


@pytest.mark.parametrize(("channels", "half"), [(256, 2), (512, 4), (1024, 8), (2048, 16)])
def test_all_64_groups_share_their_parameters(channels, half):
    shapes = {key: tuple(value.shape) for key, value in create("sa", channels).named_parameters()}
    gates = dict.fromkeys(("cweight", "cbias", "sweight", "sbias"), (1, half, 1, 1))
    assert shapes == gates | {"gn.weight": (half,), "gn.bias": (half,)}


def test_the_norm_is_of_single_channels():
    gn = create("sa", 512).gn
    assert (gn.num_groups, gn.num_channels) == (4, 4)


def test_wrong_widths_say_which_would_do():
    with pytest.raises(SettingsError, match="192 channels do not divide by 128; 128 or 256 would"):
        create("sa", 192)  # divides into 64 groups, but not into their halves


def test_its_peak_is_that_of_the_authors_code():
    module, x = create("sa", 256).to("meta"), torch.empty(1, 256, 8, 8, device="meta")
    # At the shuffle live both halves, what they were joined to, and the shuffled copy.
    with torch.no_grad():
        assert peak_live_bytes(lambda: module(x)) == 3 * 4 * 256 * 8 * 8
