from math import exp

import pytest
import torch

from attnbench.modules import SettingsError, create


@pytest.mark.parametrize("kernel_size", [1, 3, 7])
def test_the_forward_gates_a_channel_by_the_means_of_its_neighbours(kernel_size):
    torch.manual_seed(0)
    channels, reach = 12, (kernel_size - 1) // 2
    module = create("eca", channels, kernel_size=kernel_size).double()
    kernel = module.state_dict()["conv.weight"].normal_().flatten().tolist()
    x = torch.randn(2, channels, 5, 3, dtype=torch.float64)
    expected = torch.empty_like(x)
    for n in range(2):
        means = [float(x[n, c].sum()) / 15 for c in range(channels)]
        for c in range(channels):
            value = 0.0
            for tap in range(kernel_size):
                neighbour = c + tap - reach
                if 0 <= neighbour < channels:
                    value += kernel[tap] * means[neighbour]
            expected[n, c] = x[n, c] / (1 + exp(-value))
    torch.testing.assert_close(module(x), expected, rtol=1e-12, atol=1e-14)


# k is the odd number at or above int(|log2(C) / 2 + 1 / 2|): int(4.5) = 4 gives 5, int(5) = 5,
# int(5.5) = 5, int(6) = 6 gives 7.
@pytest.mark.parametrize(
    ("channels", "size"),
    [(1, 1), (64, 3), (128, 5), (256, 5), (512, 5), (1024, 5), (2048, 7), (4096, 7)],
)
def test_the_papers_rule_gives_the_kernel_size(channels, size):
    weight = create("eca", channels).state_dict()["conv.weight"]
    assert weight.shape == (1, 1, size)


def test_the_kernel_is_all_it_learns_and_starts_as_the_framework_has_it():
    torch.manual_seed(0)
    module = create("eca", 256)
    torch.manual_seed(0)
    expected = torch.nn.Conv1d(1, 1, 5, bias=False)
    assert list(module.state_dict()) == ["conv.weight"]
    assert torch.equal(module.conv.weight, expected.weight)


@pytest.mark.parametrize("kernel_size", [4, 0, -1])
def test_a_kernel_without_a_centre_is_refused(kernel_size):
    with pytest.raises(SettingsError, match=f"kernel_size {kernel_size} must be odd and positive"):
        create("eca", 64, kernel_size=kernel_size)


def test_any_positive_width_will_do_and_no_other():
    assert create("eca", 37)(torch.ones(1, 37, 2, 2)).shape == (1, 37, 2, 2)
    with pytest.raises(SettingsError, match="0 channels: must be positive"):
        create("eca", 0)
