"""The rule of the ECA paper's figures: what it printed, and each of its terms by hand."""

import pytest
import torch
from torch import nn
from torchvision.models import mobilenet_v2

from attnbench.counting.rules.thop_0_0_23 import RULE
from attnbench.hosts.build import build

IMAGE = (1, 3, 224, 224)

# ResNet-50: blocks, planes and positions of the map by stage; C = 4 * planes behind bn3.
STAGES = ((3, 64, 56**2), (4, 128, 28**2), (6, 256, 14**2), (3, 512, 7**2))
OUTPUTS = sum(n * 4 * planes * positions for n, planes, positions in STAGES)
CHANNELS = sum(n * 4 * planes for n, planes, _ in STAGES)
ECA = sum(n * 4 * planes * k for (n, planes, _), k in zip(STAGES, (3, 5, 5, 7), strict=True))
PLAIN = 4_142_111_744


class Apply(nn.Module):
    """A function of modules, which it is called with."""

    def __init__(self, function, *modules) -> None:
        super().__init__()
        self.function = function
        self.parts = nn.ModuleList(modules)

    def forward(self, x):
        return self.function(x, *self.parts)


def operations(model, shape):
    return RULE.count(model, shape).operations


@pytest.mark.parametrize(
    ("host", "attention", "expected"),
    [
        ("resnet50", None, PLAIN),
        ("resnet50", "eca", 4_147_732_480),
        ("resnet101", "eca", 7_887_349_760),
    ],
)
def test_the_papers_networks(host, attention, expected):
    with torch.device("meta"):
        network = build(host, attention)
    assert operations(network, IMAGE) == expected


def test_the_plain_network_by_its_terms():
    convolutions = 4_089_184_256 - 2048 * 1000
    norms = 4 * 11_113_984  # elements behind 53 batch norms
    relus = 64 * 112**2 + OUTPUTS  # the stem's, and of three in a block the last
    pool = 2048 * (7**2 + 1)
    classifier = 1000 * (2 * 2048 - 1)
    exact = convolutions + norms + relus + pool + classifier
    assert exact == 4_142_111_768
    assert exact - exact % 256 == PLAIN  # beyond 2^31 single precision holds multiples of 256
    assert exact % 256 < 128


def test_eca_adds_its_pooling_and_its_convolution():
    added = 4_147_732_480 - PLAIN
    # a sum and a division for each channel, and the convolution along the channels
    exact = OUTPUTS + CHANNELS + ECA
    assert exact == 5_620_736
    assert added == exact  # a multiple of 256


@pytest.mark.parametrize(
    ("module", "shape", "expected"),
    [
        # 5 by 4 positions, 4 channels, 2 * 9 products and one for the bias
        (nn.Conv2d(2, 4, 3), (1, 2, 7, 6), (5 * 4) * 4 * (2 * 9 + 1)),
        (nn.Conv2d(2, 4, 3, bias=False), (1, 2, 7, 6), (5 * 4) * 4 * (2 * 9)),
        (nn.Conv2d(4, 6, 3, groups=2), (3, 4, 7, 6), 3 * (5 * 4) * 6 * (4 // 2 * 9 + 1)),
        (nn.Conv1d(3, 5, 4), (2, 3, 10), 2 * 7 * 5 * (3 * 4 + 1)),
        (nn.Conv1d(1, 1, 3, padding=1, bias=False), (2, 1, 8), 2 * 8 * 3),
        # 7 products and 6 additions an output; the bias is none
        (nn.Linear(7, 5), (3, 7), 3 * 5 * (2 * 7 - 1)),
        (nn.Linear(7, 5, bias=False), (3, 7), 3 * 5 * (2 * 7 - 1)),
        (nn.Linear(7, 5), (2, 3, 7), 2 * 3 * 5 * (2 * 7 - 1)),
        (nn.BatchNorm2d(3), (2, 3, 4, 5), 4 * (2 * 3 * 4 * 5)),
        (nn.BatchNorm2d(3, affine=False), (2, 3, 4, 5), 4 * (2 * 3 * 4 * 5)),
        (nn.ReLU(), (2, 3, 4), 2 * 3 * 4),
        (nn.ReLU(inplace=True), (2, 3, 4), 2 * 3 * 4),
        # the window, and a division
        (nn.AdaptiveAvgPool2d(1), (2, 3, 4, 6), 2 * 3 * (4 * 6 + 1)),
        (nn.AdaptiveAvgPool2d(2), (2, 3, 4, 6), 2 * 3 * (2 * 2) * (2 * 3 + 1)),
        # windows of 5 // 2 by 7 // 3, rounded down
        (nn.AdaptiveAvgPool2d((2, 3)), (1, 3, 5, 7), 3 * (2 * 3) * (2 * 2 + 1)),
    ],
)
def test_a_module_costs_its_formula(module, shape, expected):
    count = RULE.count(module, shape)
    assert count.operations == expected
    assert count.not_counted == {}
    assert count.params is None


@pytest.mark.parametrize(
    ("module", "shape", "listed"),
    [
        (nn.MaxPool2d(2), (1, 3, 4, 6), {"aten.max_pool2d_with_indices": 1}),
        (nn.AdaptiveMaxPool2d(1), (1, 3, 4, 6), {"aten.adaptive_max_pool2d": 1}),
        (nn.Sigmoid(), (1, 4), {"aten.sigmoid": 1}),
        (nn.Softmax(1), (1, 4), {"aten._softmax": 1}),
        (nn.GroupNorm(1, 4), (1, 4, 3, 3), {"aten.native_group_norm": 1}),
        (nn.LayerNorm(3), (1, 4, 3, 3), {"aten.native_layer_norm": 1}),
        (Apply(torch.relu), (1, 4), {"aten.relu": 1}),
        (Apply(lambda x: 2 * x + x.mean((2, 3), keepdim=True)), (1, 4, 3, 3), None),
    ],
)
def test_everything_else_is_nothing_and_listed(module, shape, listed):
    if listed is None:
        listed = {"aten.mul": 1, "aten.mean": 1, "aten.add": 1}
    count = RULE.count(module, shape)
    assert count.operations == 0
    assert count.not_counted == listed


def test_average_pooling_with_a_fixed_window_is_average_pooling():
    assert operations(nn.AvgPool2d(2), (1, 3, 4, 6)) == 3 * (2 * 3) * (2 * 2 + 1)


@pytest.mark.parametrize(
    ("module", "cost"),
    [
        (nn.ReLU(), lambda elements: elements),
        (nn.BatchNorm2d(3), lambda elements: 4 * elements),
        (nn.Conv2d(3, 3, 1), lambda elements: elements * (3 + 1)),
        (nn.AdaptiveAvgPool2d((1, 1)), lambda elements: elements + 3),
    ],
)
def test_of_a_module_that_is_called_several_times_the_last_call_counts(module, cost):
    def shrinking(x, layer):
        layer(x)  # 3 * 4 * 6
        layer(x[:, :, :2])  # 3 * 2 * 6
        return layer(x[:, :, :3, :5])  # 3 * 3 * 5

    count = RULE.count(Apply(shrinking, module), (1, 3, 4, 6))
    assert count.operations == cost(3 * 3 * 5)
    assert count.not_counted == {}


def test_modules_of_one_kind_each_count():
    three = nn.Sequential(nn.ReLU(), nn.ReLU(), nn.ReLU())
    assert operations(three, (2, 5)) == 3 * 2 * 5
    relu = nn.ReLU()
    assert operations(nn.Sequential(relu, relu, relu), (2, 5)) == 2 * 5


def test_a_module_that_is_not_called_counts_nothing():
    assert operations(Apply(lambda x, first, _: first(x), nn.ReLU(), nn.ReLU()), (2, 5)) == 10


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ([2**24], 2**24),
        ([2**24 - 1], 2**24 - 1),
        ([2**24 - 1, 1], 2**24),
        # Beyond 2^24 single precision holds even numbers; a tie goes to the multiple of four.
        ([2**24, 1], 2**24),
        ([2**24, 2], 2**24 + 2),
        ([2**24, 3], 2**24 + 4),
        # One module after the other: each 1 is lost, though together they are 2.
        ([2**24, 1, 1], 2**24),
        ([1, 1, 2**24], 2**24 + 2),
        # One term that single precision does not hold is rounded too.
        ([2**24 + 1], 2**24),
        ([2**24 + 3], 2**24 + 4),
    ],
)
def test_the_sum_is_kept_in_single_precision(elements, expected):
    def function(x, *relus):
        for relu, n in zip(relus, elements, strict=True):
            relu(x[:n])
        return x

    model = Apply(function, *(nn.ReLU() for _ in elements))
    assert operations(model, (2**24 + 8,)) == expected


def test_a_small_net_is_the_sum_of_its_modules():
    relu = nn.ReLU()
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3),  # 4 by 3 positions
        nn.BatchNorm2d(8),
        relu,
        nn.MaxPool2d((2, 3)),  # 2 by 1
        relu,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 10),
    )
    count = RULE.count(net, (2, 3, 6, 5))
    elements = 2 * 8 * 4 * 3
    assert count.operations == (
        elements * (3 * 9 + 1)
        + 4 * elements
        + 2 * 8 * 2  # the ReLU's second call
        + 2 * 8 * (2 + 1)
        + 2 * 10 * (2 * 8 - 1)
    )
    assert count.not_counted == {"aten.max_pool2d_with_indices": 1}


def test_the_default_device_does_not_matter():
    with torch.device("meta"):
        assert operations(nn.ReLU(), (2, 5)) == 10


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Conv2d(2, 4, 3), (1, 2, 7, 6)),
        (nn.Conv1d(3, 5, 4), (2, 3, 10)),
        (nn.Linear(7, 5), (3, 7)),
        (nn.BatchNorm2d(3), (2, 3, 4, 5)),
        (nn.ReLU(), (2, 3)),
        (nn.AdaptiveAvgPool2d(2), (2, 3, 4, 6)),
    ],
)
def test_a_module_that_is_called_by_keyword_is_counted(module, shape):
    by_keyword = RULE.count(Apply(lambda x, layer: layer(input=x), module), shape)
    assert by_keyword == RULE.count(module, shape)
    assert by_keyword.operations > 0


def test_relu6_counts_as_relu():
    # thop/profile.py of July 2019 gives both the same counter; MobileNetV2 has 6,105,792 elements.
    assert operations(nn.ReLU6(), (2, 3, 4, 5)) == 2 * 3 * 4 * 5
    with torch.device("meta"):
        network = mobilenet_v2()
    assert operations(network, IMAGE) == 328_765_728 + 6_105_792  # 319.4 * 2^20, as printed
