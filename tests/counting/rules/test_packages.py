"""The counters that people install: their figures as they are, and by what arithmetic."""

import pytest
import torch
from torch import nn

from attnbench.counting.rule import OtherPackageError
from attnbench.counting.rules import packages
from attnbench.counting.rules.packages import FVCORE, FVCORE_BY_MEAN, FVCORE_TRAINING, THOP
from attnbench.hosts.build import build
from attnbench.modules import ATTENTION, create

IMAGE = (1, 3, 224, 224)
MACS = 4_089_184_256
PARAMS = 25_557_032

# ResNet-50: blocks, planes and positions of the map by stage; C = 4 * planes behind bn3.
STAGES = ((3, 64, 56**2), (4, 128, 28**2), (6, 256, 14**2), (3, 512, 7**2))
POOLED = sum(n * 4 * planes * positions for n, planes, positions in STAGES)
CHANNELS = sum(n * 4 * planes for n, planes, _ in STAGES)
NORMED = 11_113_984  # elements behind the plain network's 53 batch norms
PERCEPTRONS = sum(n * 2 * (4 * planes) * (planes // 4) for n, planes, _ in STAGES)
ECA = sum(n * 4 * planes * k for (n, planes, _), k in zip(STAGES, (3, 5, 5, 7), strict=True))


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """fvcore runs the networks; on a busy machine threads cost more than they give."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def networks() -> dict[str, nn.Module]:
    with torch.device("meta"):
        plain = {"plain": build("resnet50")}
        return plain | {name: build("resnet50", name) for name in ATTENTION}


@pytest.fixture(scope="module")
def by_thop(networks):
    return {name: THOP.count(network, IMAGE) for name, network in networks.items()}


@pytest.fixture(scope="module")
def by_fvcore(networks):
    names = ("plain", "se", "eca", "sge", "sa")  # it runs them, so each costs a forward
    return {name: FVCORE.count(networks[name], IMAGE) for name in names}


def test_thops_plain_network(by_thop):
    # A batch norm is 4 an element; an adaptive pooling one an input and one an output.
    assert by_thop["plain"].operations == MACS + 4 * NORMED + (7**2 + 1) * 2048 == 4_133_742_592
    assert by_thop["plain"].params == PARAMS


def test_thop_sees_of_sa_its_pooling_and_none_of_its_parameters(by_thop):
    # Half of the channels, and for each of these a division.
    added = by_thop["sa"].operations - by_thop["plain"].operations
    assert added == POOLED // 2 + CHANNELS // 2 == 2_767_232
    assert by_thop["sa"].params == PARAMS


def test_thop_sees_of_eca_its_pooling_and_its_convolution(by_thop):
    added = by_thop["eca"].operations - by_thop["plain"].operations
    assert added == POOLED + CHANNELS + ECA
    assert by_thop["eca"].operations == 4_139_363_328
    assert by_thop["eca"].params == PARAMS + 80


def test_thop_counts_parameters_of_layers_and_no_bare_ones(by_thop):
    added = {name: count.params - PARAMS for name, count in by_thop.items()}
    assert added == {
        "plain": 0,
        "se": 2_530_992,
        "cbam": 2_532_592,
        "eca": 80,
        "gc": 2_548_000,
        "sk": 597_464,
        "sge": 0,  # all of its 2,048 are bare
        "sa": 0,  # 472 of its 708 are bare, and thop has no rule for a group norm
    }


def test_thop_lists_what_it_left_at_zero(by_thop):
    plain = {"aten.relu_": 49, "aten.max_pool2d_with_indices": 1, "aten.add_": 16}
    assert by_thop["plain"].not_counted == plain
    assert by_thop["eca"].not_counted == plain | {"aten.sigmoid": 16, "aten.mul": 16}
    assert by_thop["gc"].not_counted == plain | {
        "aten.relu_": 49 + 16,
        "aten._softmax": 16,
        "aten.bmm": 16,
        "aten.add": 16,
    }


def small() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(96, 10)
    )


def test_a_small_net_by_both_packages():
    shape = (1, 3, 6, 5)
    elements = 8 * 4 * 3
    products = elements * 3 * 9 + 96 * 10
    params = (8 * 3 * 9 + 8) + (8 + 8) + (96 * 10 + 10)
    assert THOP.count(small(), shape).operations == products + 4 * elements
    assert FVCORE.count(small(), shape).operations == products + 2 * elements
    assert THOP.count(small(), shape).params == params
    assert FVCORE.count(small(), shape).params == params


def test_the_packages_print_nothing(capsys):
    THOP.count(small(), (1, 3, 6, 5))
    FVCORE.count(small(), (1, 3, 6, 5))
    assert capsys.readouterr() == ("", "")


def test_fvcores_plain_network(by_fvcore):
    # In eval mode a batch norm is 2 an element; an adaptive pooling one an input.
    operations = MACS + 2 * NORMED + 2048 * 7**2
    assert by_fvcore["plain"].operations == operations == 4_111_512_576
    assert by_fvcore["plain"].params == PARAMS


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("se", POOLED + PERCEPTRONS),
        ("eca", POOLED + ECA),
        ("sge", POOLED),
        ("sa", POOLED // 2 + 5 * (POOLED // 2)),  # a group norm is 5 an element
    ],
)
def test_what_fvcore_says_a_module_adds(name, expected, by_fvcore):
    assert by_fvcore[name].operations - by_fvcore["plain"].operations == expected


def test_fvcore_in_training_mode_counts_5_for_an_element_of_a_batch_norm(networks):
    plain, sa = (FVCORE_TRAINING.count(networks[name], IMAGE) for name in ("plain", "sa"))
    assert plain.operations == MACS + 5 * NORMED + 2048 * 7**2 == 4_144_854_528
    assert sa.operations - plain.operations == 16_558_080  # as in eval mode


def test_fvcores_figure_for_sa_is_six_times_the_abstracts(by_fvcore):
    added = by_fvcore["sa"].operations - by_fvcore["plain"].operations
    assert added == 6 * 2_759_680 == 16_558_080


def test_fvcore_counts_bare_parameters_too(by_fvcore):
    assert by_fvcore["sa"].params == PARAMS + 708
    assert by_fvcore["sge"].params == PARAMS + 2_048


def test_fvcore_lists_what_it_says_it_cannot_count(by_fvcore):
    plain = {"aten::max_pool2d": 1, "aten::add_": 16}
    assert by_fvcore["plain"].not_counted == plain
    assert by_fvcore["se"].not_counted == plain | {"aten::sigmoid": 16, "aten::mul": 16}
    assert by_fvcore["eca"].not_counted == plain | {"aten::sigmoid": 16, "aten::mul": 16}


def test_fvcores_list_is_its_own_and_passes_over_what_it_ignores(by_fvcore):
    assert not {"aten::relu_", "aten::cat"} & set(by_fvcore["sa"].not_counted)


def test_fvcore_counts_a_shared_parameter_once():
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    second.weight = first.weight
    assert FVCORE.count(nn.Sequential(first, second), (1, 4)).params == 4 * 4 + 4 + 4


class Apply(nn.Module):
    def __init__(self, function, *modules) -> None:
        super().__init__()
        self.function = function
        self.parts = nn.ModuleList(modules)

    def forward(self, x):
        return self.function(x, *self.parts)


def pooled(spelling):
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), spelling, nn.Linear(8, 10))


def test_by_mean_is_fvcore_where_the_network_says_mean():
    module = pooled(Apply(lambda x, pool: pool(x).flatten(1), nn.AdaptiveAvgPool2d(1)))
    call = pooled(Apply(lambda x: x.mean((2, 3))))
    shape = (1, 3, 6, 5)
    products_and_norm = 8 * 12 * 27 + 2 * 8 * 12 + 8 * 10
    assert FVCORE_BY_MEAN.count(module, shape).operations == products_and_norm
    assert FVCORE.count(call, shape).operations == products_and_norm
    assert FVCORE.count(module, shape).operations == products_and_norm + 8 * 12
    assert FVCORE_BY_MEAN.count(call, shape).operations == products_and_norm


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        # to 128 / 16 = 8 units and back; the pooling is 128 * 12
        ("se", (1, 128, 4, 3), 2 * 128 * 8),
        ("eca", (1, 128, 4, 3), 128 * 5),
        ("sge", (1, 128, 4, 3), 0),
        ("sa", (1, 128, 4, 3), 5 * 64 * 12),  # a group norm of half of it
    ],
)
def test_by_mean_leaves_out_the_pooling_of_a_module(name, shape, expected):
    module = create(name, 128)
    pooled = (64 if name == "sa" else 128) * 12
    assert FVCORE_BY_MEAN.count(module, shape).operations == expected
    assert FVCORE.count(module, shape).operations == expected + pooled


def test_a_package_in_the_place_of_thop_does_not_count_in_its_name(monkeypatch):
    monkeypatch.setattr(packages, "version", lambda _: "2.2.3")
    with pytest.raises(OtherPackageError, match=r"ultralytics-thop 2\.2\.3 is installed over thop"):
        packages.count_thop(nn.Identity(), (1, 3, 8, 8))
