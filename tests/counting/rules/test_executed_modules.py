"""The seven modules, operator by operator, alone and in ResNet-50."""

from dataclasses import asdict

import pytest
import torch
from helpers.operators import costs
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from attnbench.counting.dispatch import operator_name
from attnbench.counting.operators.cost import Cost
from attnbench.counting.rules.executed import RULE, block, part, stage, stage_and_part, trace
from attnbench.hosts.build import build
from attnbench.modules import ATTENTION, Site, create

IMAGE = (1, 3, 224, 224)

# ResNet-50: blocks, planes and side of the map by stage; C = 4 * planes behind bn3.
STAGES = ((3, 64, 56), (4, 128, 28), (6, 256, 14), (3, 512, 7))
ECA_SIZES = (3, 5, 5, 7)
AFTER_BN3 = [name for name, row in ATTENTION.items() if row.site is Site.AFTER_BN3]


def by_name(_: str, operator: str) -> str:
    return operator


# The seven modules: every operator of one forward, in the order in which they run.


class Names(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(operator_name(func))
        return func(*args, **(kwargs or {}))


def group_norm_copies_a_half() -> bool:
    """torch 2.6 makes a half of the channels contiguous before it normalises them."""
    half = torch.empty(2, 4, 3, 3).chunk(2, dim=1)[1]
    with Names() as seen:
        nn.functional.group_norm(half, 2)
    return "aten.clone" in seen.names


def se(b, c, h, w):
    x, r = b * c * h * w, c // 16
    return [
        ("mean", costs(reductions=x, elementwise=b * c, read=[x], written=[b * c])),
        (
            "addmm",
            costs(macs=b * c * r, elementwise=b * r, read=[b * c, c * r, r], written=[b * r]),
        ),
        ("relu_", costs(elementwise=b * r, read=[b * r], written=[b * r])),
        (
            "addmm",
            costs(macs=b * c * r, elementwise=b * c, read=[b * r, c * r, c], written=[b * c]),
        ),
        ("sigmoid", costs(elementwise=b * c, read=[b * c], written=[b * c])),
        ("mul", costs(elementwise=x, read=[x, b * c], written=[x])),
    ]


def cbam(b, c, h, w):
    x, r, p = b * c * h * w, c // 16, b * h * w
    perceptron = [
        (
            "addmm",
            costs(macs=b * c * r, elementwise=b * r, read=[b * c, c * r, r], written=[b * r]),
        ),
        ("relu", costs(elementwise=b * r, read=[b * r], written=[b * r])),
        (
            "addmm",
            costs(macs=b * c * r, elementwise=b * c, read=[b * r, c * r, c], written=[b * c]),
        ),
    ]
    return [
        ("mean", costs(reductions=x, elementwise=b * c, read=[x], written=[b * c])),
        *perceptron,
        # maxima, and their indices of 8 bytes
        ("adaptive_max_pool2d", costs(reductions=x, read=[x], written=[b * c, 2 * b * c])),
        *perceptron,
        ("add", costs(elementwise=b * c, read=[b * c, b * c], written=[b * c])),
        ("sigmoid", costs(elementwise=b * c, read=[b * c], written=[b * c])),
        ("mul", costs(elementwise=x, read=[x, b * c], written=[x])),
        ("amax", costs(reductions=x, read=[x], written=[p])),
        ("mean", costs(reductions=x, elementwise=p, read=[x], written=[p])),
        ("cat", costs(read=[p, p], written=[2 * p])),
        ("convolution", costs(macs=p * 2 * 49, read=[2 * p, 2 * 49], written=[p])),
        ("native_batch_norm", costs(elementwise=2 * p, read=[p, 1, 1, 1, 1], written=[p])),
        ("sigmoid", costs(elementwise=p, read=[p], written=[p])),
        ("mul", costs(elementwise=x, read=[x, p], written=[x])),
    ]


def eca(b, c, h, w, k=5):
    x = b * c * h * w
    return [
        ("mean", costs(reductions=x, elementwise=b * c, read=[x], written=[b * c])),
        ("convolution", costs(macs=b * c * k, read=[b * c, k], written=[b * c])),
        ("sigmoid", costs(elementwise=b * c, read=[b * c], written=[b * c])),
        ("mul", costs(elementwise=x, read=[x, b * c], written=[x])),
    ]


def gc(b, c, h, w):
    x, r, p = b * c * h * w, c // 16, b * h * w
    return [
        ("convolution", costs(macs=x, elementwise=p, read=[x, c, 1], written=[p])),
        ("_softmax", costs(elementwise=3 * p, reductions=2 * p, read=[p], written=[p])),
        ("bmm", costs(macs=x, read=[x, p], written=[b * c])),
        (
            "convolution",
            costs(macs=b * c * r, elementwise=b * r, read=[b * c, c * r, r], written=[b * r]),
        ),
        # a mean and a deviation for each image
        (
            "native_layer_norm",
            costs(
                elementwise=4 * b * r,
                reductions=2 * b * r,
                read=[b * r, r, r],
                written=[b * r, b, b],
            ),
        ),
        ("relu_", costs(elementwise=b * r, read=[b * r], written=[b * r])),
        (
            "convolution",
            costs(macs=b * c * r, elementwise=b * c, read=[b * r, c * r, c], written=[b * c]),
        ),
        ("add", costs(elementwise=x, read=[x, b * c], written=[x])),
    ]


def sk(b, c, h, w, stride=1):
    x, r = b * c * h * w, c // 16
    y = b * c * (-(-h // stride)) * (-(-w // stride))  # rounded up

    def branch(groups):
        kernel = c // groups * 9  # taps that meet an output
        return [
            ("convolution", costs(macs=y * kernel, read=[x, c * kernel], written=[y])),
            ("native_batch_norm", costs(elementwise=2 * y, read=[y, c, c, c, c], written=[y])),
            ("relu_", costs(elementwise=y, read=[y], written=[y])),
        ]

    return [
        *branch(1),
        *branch(32),
        ("add", costs(elementwise=y, read=[y, y], written=[y])),
        ("mean", costs(reductions=y, elementwise=b * c, read=[y], written=[b * c])),
        ("convolution", costs(macs=b * c * r, read=[b * c, c * r], written=[b * r])),
        (
            "native_batch_norm",
            costs(elementwise=2 * b * r, read=[b * r, r, r, r, r], written=[b * r]),
        ),
        ("relu", costs(elementwise=b * r, read=[b * r], written=[b * r])),
        ("convolution", costs(macs=b * r * 2 * c, read=[b * r, r * 2 * c], written=[b * 2 * c])),
        (
            "_softmax",
            costs(
                elementwise=3 * b * 2 * c,
                reductions=2 * b * 2 * c,
                read=[b * 2 * c],
                written=[b * 2 * c],
            ),
        ),
        ("mul", costs(elementwise=y, read=[y, b * c], written=[y])),
        ("mul", costs(elementwise=y, read=[y, b * c], written=[y])),
        ("add", costs(elementwise=y, read=[y, y], written=[y])),
    ]


def sge(b, c, h, w):
    x, n, m = b * c * h * w, b * 64, b * 64 * h * w  # groups of all images; their positions
    return [
        ("mean", costs(reductions=x, elementwise=b * c, read=[x], written=[b * c])),
        ("mul", costs(elementwise=x, read=[x, b * c], written=[x])),
        ("sum", costs(reductions=x, read=[x], written=[m])),
        ("mean", costs(reductions=m, elementwise=n, read=[m], written=[n])),
        ("sub", costs(elementwise=m, read=[m, n], written=[m])),
        ("std", costs(reductions=2 * m, elementwise=2 * m + n, read=[m], written=[n])),
        ("add", costs(elementwise=n, read=[n], written=[n])),  # the small constant
        ("div", costs(elementwise=m, read=[m, n], written=[m])),
        ("mul", costs(elementwise=m, read=[m, 64], written=[m])),
        ("add", costs(elementwise=m, read=[m, 64], written=[m])),
        ("sigmoid", costs(elementwise=m, read=[m], written=[m])),
        ("mul", costs(elementwise=x, read=[x, m], written=[x])),
    ]


def sa(b, c, h, w):
    half, means, p = b * c * h * w // 2, b * c // 2, c // 128  # p: elements of a parameter
    copied = [("clone", costs(read=[half], written=[half]))] * group_norm_copies_a_half()
    return [
        # The first half of each group's channels, by their means
        ("mean", costs(reductions=half, elementwise=means, read=[half], written=[means])),
        ("mul", costs(elementwise=means, read=[p, means], written=[means])),
        ("add", costs(elementwise=means, read=[means, p], written=[means])),
        ("sigmoid", costs(elementwise=means, read=[means], written=[means])),
        ("mul", costs(elementwise=half, read=[half, means], written=[half])),
        # The second half, each channel normalised on its own
        *copied,
        (
            "native_group_norm",
            costs(
                elementwise=4 * half,
                reductions=2 * half,
                read=[half, p, p],
                written=[half, means, means],
            ),
        ),
        ("mul", costs(elementwise=half, read=[p, half], written=[half])),
        ("add", costs(elementwise=half, read=[half, p], written=[half])),
        ("sigmoid", costs(elementwise=half, read=[half], written=[half])),
        ("mul", costs(elementwise=half, read=[half, half], written=[half])),
        # Together, and shuffled
        ("cat", costs(read=[half, half], written=[2 * half])),
        ("clone", costs(read=[2 * half], written=[2 * half])),
    ]


MODULES = {
    "se": (se, (2, 128, 4, 3), {}),
    "cbam": (cbam, (2, 128, 4, 3), {}),
    "eca": (eca, (2, 128, 4, 3), {}),
    "gc": (gc, (2, 128, 4, 3), {}),
    "sk": (sk, (2, 128, 7, 5), {"stride": 2}),
    "sge": (sge, (2, 256, 4, 3), {}),
    "sa": (sa, (2, 256, 4, 3), {}),
}


def by_operator(steps):
    sums = {}
    for name, cost in steps:
        sums[f"aten.{name}"] = sums.get(f"aten.{name}", Cost()) + cost
    return sums


def total(steps):
    return sum((cost for _, cost in steps), Cost())


def test_every_module_is_written_out():
    assert set(MODULES) == set(ATTENTION)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_the_sum_of_its_operators(name):
    steps, shape, settings = MODULES[name]
    recorded = trace(create(name, shape[1], **settings), shape)
    written_out = steps(*shape, **settings)
    assert recorded.by(by_name) == by_operator(written_out)
    assert recorded.total == total(written_out)
    assert recorded.not_counted == {}


def test_sa_with_a_pencil():
    # 256 channels of 4 * 3 positions, twice: 6,144 elements; 3,072 a half, 256 means.
    half, means = 3072, 256
    copy = group_norm_copies_a_half()
    assert total(sa(2, 256, 4, 3)) == Cost(
        macs=0,
        # four for the means and one to scale; group norm four, weight, bias, gate, scale
        elementwise=4 * means + half + 4 * half + 4 * half,
        reductions=half + 2 * half,
        bytes_read=4
        * (
            (half + means + means + means + half + means)  # the first half
            + (half + half + half + half + 2 * half)  # the second
            + copy * half
            + 2 * half
            + 2 * half  # cat and shuffle
            + 6 * 2  # parameters: weight and bias of either gate and of the norm
        ),
        bytes_written=4
        * (4 * means + half + (half + 2 * means) + copy * half + 4 * half + 2 * half + 2 * half),
        kernels=12 + copy,
    )


# Whole networks.


@pytest.fixture(scope="module")
def networks():
    with torch.device("meta"):
        plain = {"plain": build("resnet50")}
        return plain | {name: build("resnet50", name) for name in ATTENTION}


@pytest.fixture(scope="module")
def traces(networks):
    return {name: trace(network, IMAGE) for name, network in networks.items()}


def published(name):
    """The steps of every block of ResNet-50 at 224, as published."""
    for number, (blocks, planes, side) in enumerate(STAGES):
        for index in range(blocks):
            if name == "sk":  # in place of conv2; the first block of stages 2 to 4 halves the map
                stride = 2 if number and not index else 1
                yield from sk(1, planes, stride * side, stride * side, stride=stride)
            elif name == "eca":
                yield from eca(1, 4 * planes, side, side, ECA_SIZES[number])
            else:
                yield from MODULES[name][0](1, 4 * planes, side, side)


@pytest.mark.parametrize("name", MODULES)
def test_the_attention_part_of_resnet50_is_its_16_modules(name, traces):
    assert traces[name].by(part)["attention"] == total(published(name))


def test_sa_launches_12_kernels_a_block(traces):
    kernels = 12 + group_norm_copies_a_half()
    by_block = traces["sa"].by(lambda path, name: f"{block(path, name)} {part(path, name)}")
    attention = [cost.kernels for name, cost in by_block.items() if name.endswith(" attention")]
    assert attention == [kernels] * 16
    assert traces["sa"].by(part)["attention"].kernels == 16 * kernels


def test_the_plain_network_is_its_layers(traces):
    recorded = traces["plain"]
    assert set(recorded.by(part)) == {"host"}
    # 53 convolutions and batch norms, 49 ReLUs, 16 additions, two poolings, the classifier
    assert recorded.total.kernels == 53 + 53 + 49 + 16 + 2 + 1
    assert recorded.total.macs == 4_089_184_256
    additions = recorded.by(by_name)["aten.add_"]
    assert additions.elementwise == sum(n * 4 * c * side**2 for n, c, side in STAGES) == 5_519_360
    assert additions.bytes_read == 2 * additions.bytes_written == 2 * 4 * 5_519_360


@pytest.mark.parametrize("name", AFTER_BN3)
def test_a_module_behind_bn3_leaves_every_row_of_the_host_as_it_was(name, traces):
    host = {key: cost for key, cost in traces[name].rows.items() if part(*key) == "host"}
    assert host == traces["plain"].rows
    assert traces[name].by(part)["host"] == traces["plain"].total


def test_sk_takes_conv2_bn2_and_a_relu_from_the_host(traces):
    taken = [
        cost
        for (path, _), cost in traces["plain"].rows.items()
        if path.endswith((".conv2", ".bn2"))
    ]
    assert len(taken) == 2 * 16
    for blocks, planes, side in STAGES:
        elements = planes * side**2
        taken += [costs(elementwise=elements, read=[elements], written=[elements])] * blocks
    assert sum(taken, traces["sk"].by(part)["host"]) == traces["plain"].total


@pytest.mark.parametrize("name", ["plain", *ATTENTION])
@pytest.mark.parametrize("key", [stage, block, part, stage_and_part, by_name])
def test_every_way_of_adding_up_gives_the_total(name, key, traces):
    recorded = traces[name]
    assert sum(recorded.by(key).values(), Cost()) == recorded.total


def test_stages_and_blocks_are_the_networks_in_its_order(traces):
    head, tail = ["conv1", "bn1", "relu", "maxpool"], ["avgpool", "fc"]
    assert list(traces["sa"].by(stage)) == [*head, "layer1", "layer2", "layer3", "layer4", *tail]
    blocks = [f"layer{n}.{i}" for n, many in enumerate((3, 4, 6, 3), 1) for i in range(many)]
    assert list(traces["sa"].by(block)) == [*head, *blocks, *tail]


def test_only_the_chosen_stages_have_attention():
    with torch.device("meta"):
        recorded = trace(build("resnet50", "sa", stages=[2, 4]), (1, 3, 64, 64))
    with_attention = [name for name in recorded.by(stage_and_part) if name.endswith(" attention")]
    assert with_attention == ["layer2 attention", "layer4 attention"]


def test_a_count_is_the_trace_in_plain_numbers(networks, traces):
    count, recorded = RULE.count(networks["sa"], IMAGE), traces["sa"]
    assert count.operations == recorded.total.operations
    assert count.details == asdict(recorded.total) | {"peak_live_bytes": recorded.peak}
    assert count.params is None
    assert count.not_counted == {}
    assert list(count.parts) == list(recorded.by(stage_and_part))
    for figure in asdict(recorded.total):
        assert sum(values[figure] for values in count.parts.values()) == count.details[figure]
