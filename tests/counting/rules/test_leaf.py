"""The rule of the SGE and SA papers' tables, by hand on small nets and on the published ones."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from attnbench.counting.rules.leaf import RULE
from attnbench.hosts.build import build
from attnbench.modules import ATTENTION, AttentionSpec, Site

IMAGE = (1, 3, 224, 224)
PLAIN = 4_121_924_096

# ResNet-50: blocks, planes and positions of the map by stage; C = 4 * planes behind bn3.
STAGES = ((3, 64, 56**2), (4, 128, 28**2), (6, 256, 14**2), (3, 512, 7**2))
POOLED = sum(n * 4 * planes * positions for n, planes, positions in STAGES)
POSITIONS = sum(n * positions for n, _, positions in STAGES)
CHANNELS = sum(n * 4 * planes for n, planes, _ in STAGES)
HIDDEN = CHANNELS // 16  # units of the two-layer perceptrons
PERCEPTRONS = sum(n * 2 * (4 * planes) * (planes // 4) for n, planes, _ in STAGES)

ADDED = {
    # pooling, both linear layers without their biases, ReLU of the hidden units
    "se": POOLED + PERCEPTRONS + HIDDEN,
    # two poolings, the perceptron twice; 7 * 7 * 2 and a batch norm's 2 a position
    "cbam": 2 * POOLED + 2 * (PERCEPTRONS + HIDDEN) + POSITIONS * (2 * 49 + 2),
    "eca": POOLED,  # a Conv1d is nothing here
    # the mask with its bias, the two convolutions with theirs, ReLU
    "gc": (POOLED + POSITIONS) + (PERCEPTRONS + HIDDEN + CHANNELS) + HIDDEN,
    # grouped convolution, its batch norm (2) and ReLU (1), pooling (1);
    # fc1 and fc2, the batch norm between them; the ReLU there is a function
    "sk": sum(
        n * positions * planes * ((planes // 32) * 9 + 2 + 1 + 1)
        + n * (3 * planes * (planes // 16) + 2 * (planes // 16))
        for n, planes, positions in STAGES
    ),
    "sge": POOLED,
    "sa": POOLED // 2,
}

PUBLISHED = {
    "plain": PLAIN,
    "se": 4_129_959_344,
    "cbam": 4_139_381_292,
    "sge": 4_127_443_456,
    "sa": 4_124_683_776,
    "sk": 4_185_482_456,
}


@pytest.fixture(scope="module")
def counts():
    with torch.device("meta"):
        networks = {"plain": build("resnet50")} | {
            name: build("resnet50", name) for name in ATTENTION
        }
    return {name: RULE.count(network, IMAGE) for name, network in networks.items()}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_networks_have_the_papers_count(name, counts):
    assert counts[name].operations == PUBLISHED[name]
    assert counts[name].params is None


@pytest.mark.parametrize("name", ADDED)
def test_a_module_adds_what_its_arithmetic_says(name, counts):
    assert counts[name].operations - PLAIN == ADDED[name]


def test_sa_adds_the_abstracts_figure_to_its_last_digit():
    assert ADDED["sa"] == 2_759_680  # 2.76e-3 GFLOPs: pooling over half the channels


def test_the_plain_network_is_products_and_norms_and_activations_and_pools():
    # Elements behind the batch norms that a ReLU follows: the stem's, then conv1's (at the
    # stride of the block before), conv2's and the block's own.
    ends = [56**2, *(positions for _, _, positions in STAGES)]
    relu = 64 * 112**2
    norms = 64 * 112**2
    for (blocks, planes, positions), before in zip(STAGES, ends[:-1], strict=True):
        conv1 = planes * (before + (blocks - 1) * positions)
        conv2 = blocks * planes * positions
        out = blocks * 4 * planes * positions
        downsample = 4 * planes * positions
        relu += conv1 + conv2 + out
        norms += conv1 + conv2 + out + downsample
    pools = 64 * 112**2 + 2048 * 7**2  # inputs of the stem's pooling and of the last
    products = 4_089_184_256  # of convolutions and the classifier, without its bias
    assert products + 2 * norms + relu + pools == PLAIN


class Apply(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@pytest.mark.parametrize(
    ("module", "shape", "expected"),
    [
        # 5 by 4 positions, 4 channels, 2 * 9 products and one for the bias
        (nn.Conv2d(2, 4, 3), (1, 2, 7, 6), (5 * 4) * 4 * (2 * 9 + 1)),
        (nn.Conv2d(2, 4, 3, bias=False), (1, 2, 7, 6), (5 * 4) * 4 * (2 * 9)),
        (nn.Conv2d(4, 6, 3, groups=2), (3, 4, 7, 6), 3 * (5 * 4) * 6 * (4 // 2 * 9 + 1)),
        (nn.Conv2d(2, 4, 3, stride=2, dilation=2), (1, 2, 9, 9), (3 * 3) * 4 * (2 * 9 + 1)),
        (nn.Linear(7, 5), (3, 7), 3 * 7 * 5),
        (nn.Linear(7, 5, bias=False), (2, 3, 7), 2 * 3 * 7 * 5),
        (nn.BatchNorm2d(3), (2, 3, 4, 5), 2 * (2 * 3 * 4 * 5)),
        (nn.BatchNorm2d(3, affine=False), (2, 3, 4, 5), 2 * 3 * 4 * 5),
        (nn.Upsample(scale_factor=2), (1, 3, 4, 6), 3 * 8 * 12),
        (nn.ReLU(), (2, 3, 4), 2 * 3 * 4),
        (nn.MaxPool2d(2), (1, 3, 4, 6), 3 * 4 * 6),
        (nn.AvgPool2d(3, stride=1), (1, 3, 4, 6), 3 * 4 * 6),
        (nn.AdaptiveMaxPool2d(1), (1, 3, 4, 6), 3 * 4 * 6),
        (nn.AdaptiveAvgPool2d(2), (1, 3, 4, 6), 3 * 4 * 6),
    ],
)
def test_a_leaf_costs_its_formula(module, shape, expected):
    count = RULE.count(module, shape)
    assert count.operations == expected
    assert count.not_counted == {}


@pytest.mark.parametrize(
    ("module", "shape", "listed"),
    [
        (nn.GroupNorm(1, 4), (1, 4, 3, 3), {"aten.native_group_norm": 1}),
        (nn.LayerNorm(3), (1, 4, 3, 3), {"aten.native_layer_norm": 1}),
        (nn.Sigmoid(), (1, 4), {"aten.sigmoid": 1}),
        (nn.Softmax(1), (1, 4), {"aten._softmax": 1}),
        (nn.Conv1d(4, 2, 1), (1, 4, 3), {"aten.convolution": 1}),
        (nn.BatchNorm1d(4), (1, 4, 3), {"aten.native_batch_norm": 1}),
        (nn.AdaptiveAvgPool1d(1), (1, 4, 3), {"aten.mean": 1}),
        (nn.ConvTranspose2d(4, 2, 1), (1, 4, 3, 3), {"aten.convolution": 1}),
        (Apply(torch.relu), (1, 4), {"aten.relu": 1}),
        (Apply(lambda x: x.mean((2, 3))), (1, 4, 3, 3), {"aten.mean": 1}),
        (Apply(lambda x: 2 * x + x), (1, 4), {"aten.mul": 1, "aten.add": 1}),
        (Apply(lambda x: x.flatten(1)[:, ::2].unflatten(1, (2, -1))), (1, 4, 3, 3), {}),
    ],
)
def test_everything_else_is_nothing_and_listed(module, shape, listed):
    count = RULE.count(module, shape)
    assert count.operations == 0
    assert count.not_counted == listed


def test_a_net_is_the_sum_of_its_leaves():
    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3, padding=1)
            self.norm = nn.BatchNorm2d(8)
            self.relu = nn.ReLU()
            self.pool = nn.AdaptiveAvgPool2d(1)
            self.last = nn.Linear(8, 10)

        def forward(self, x):
            x = self.relu(self.norm(self.conv(x)))
            x = self.relu(x * x.sigmoid())  # the ReLU a second time
            return self.last(self.pool(x).flatten(1)).softmax(1)

    count = RULE.count(Small(), (1, 3, 6, 5))
    elements = 8 * 6 * 5
    # convolution with bias, norm, twice a ReLU, pool, linear
    expected = elements * (3 * 9 + 1) + 2 * elements + 2 * elements + elements + 8 * 10
    assert count.operations == expected
    assert count.not_counted == {"aten.sigmoid": 1, "aten.mul": 1, "aten._softmax": 1}


class Standardised(nn.Conv2d):
    def forward(self, x):
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return nn.functional.conv2d(x, weight, self.bias)


@pytest.mark.parametrize(
    ("layer", "besides"),
    [
        (Standardised(2, 4, 3), {}),
        # The weight's largest singular value is u @ (weight @ v).
        (parametrizations.spectral_norm(nn.Conv2d(2, 4, 3)), {"aten.mv": 1, "aten.vdot": 1}),
        (parametrizations.weight_norm(nn.Conv2d(2, 4, 3)), {}),
    ],
    ids=["subclass", "spectral_norm", "weight_norm"],
)
def test_a_subclass_of_a_leaf_and_a_parametrised_one_count_as_it(layer, besides):
    count = RULE.count(layer, (1, 2, 7, 6))
    assert count.operations == (5 * 4) * 4 * (2 * 9 + 1)
    assert count.not_counted == besides


def test_a_standardised_convolution_in_every_block_of_resnet50():
    class Gate(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.fc = Standardised(channels, channels, 1, bias=False)

        def forward(self, x):
            return x * self.fc(x).sigmoid()

    entry = AttentionSpec("gate", "a gate", "nowhere", Site.AFTER_BN3, Gate)
    with torch.device("meta"):
        network = build("resnet50", entry)
    added = sum(n * (4 * planes) ** 2 * positions for n, planes, positions in STAGES)
    assert added == 3_288_334_336
    assert RULE.count(network, IMAGE).operations == PLAIN + added


def test_a_leaf_that_is_called_by_keyword_is_counted():
    layer = nn.Linear(7, 5)

    class ByKeyword(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return self.layer(input=x)

    assert RULE.count(ByKeyword(), (3, 7)).operations == 3 * 7 * 5


def test_what_sa_runs_and_the_rule_does_not_count_is_listed(counts):
    assert counts["plain"].not_counted == {"aten.add_": 16}  # the residual additions
    half = Apply(lambda x: nn.functional.group_norm(x.chunk(2, dim=1)[1], 2))
    copies = RULE.count(half, (2, 4, 3, 3)).not_counted.get("aten.clone", 0)  # 1 in torch 2.6
    assert counts["sa"].not_counted == {
        "aten.add_": 16,
        "aten.native_group_norm": 16,
        "aten.mul": 16 * 4,  # in both halves the weight's and the gate's
        "aten.add": 16 * 2,  # in both halves the bias's
        "aten.sigmoid": 16 * 2,
        "aten.cat": 16,
        "aten.clone": 16 * (1 + copies),  # the shuffle's, and what the norm makes of a half
    }


def test_what_the_others_run_is_listed_too(counts):
    def listed(name):
        return {key.removeprefix("aten."): n for key, n in counts[name].not_counted.items()}

    assert listed("se") == {"add_": 16, "sigmoid": 16, "mul": 16}
    assert listed("eca") == {"add_": 16, "convolution": 16, "sigmoid": 16, "mul": 16}
    assert listed("cbam") == {
        "add_": 16,
        "add": 16,
        "sigmoid": 32,
        "mul": 32,
        "amax": 16,
        "mean": 16,
        "cat": 16,
    }
    assert listed("gc") == {
        "add_": 16,
        "_softmax": 16,
        "bmm": 16,
        "native_layer_norm": 16,
        "add": 16,
    }
    assert listed("sk") == {"add_": 16, "add": 32, "relu": 16, "_softmax": 16, "mul": 32}
    assert listed("sge") == {
        "add_": 16,
        "mul": 16 * 3,
        "sum": 16,
        "mean": 16,
        "sub": 16,
        "std": 16,
        "add": 16 * 2,  # the small constant and the bias
        "div": 16,
        "sigmoid": 16,
    }
