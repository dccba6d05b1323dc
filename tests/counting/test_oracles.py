"""Counts made or printed by others: they agree exactly, or the difference is a formula."""

import io
import weakref
from collections.abc import Iterable
from contextlib import redirect_stderr, redirect_stdout

import pytest
import torch
import torchvision
from ptflops import get_model_complexity_info
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import get_model, get_model_weights, list_models

from attnbench.counting.rules import executed, leaf, macs, parameters
from attnbench.counting.rules.packages import TORCH
from attnbench.counting.twin import warmed_up
from attnbench.hosts.build import build
from attnbench.modules import ATTENTION

IMAGE = (1, 3, 224, 224)
NETWORKS = ["plain", *ATTENTION]
HOSTS = ["resnet50", "resnet101"]

# Blocks and channels behind bn3 by stage, and the sizes of ECA's published kernels.
BLOCKS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3)}
WIDTHS = (256, 512, 1024, 2048)
ECA_SIZES = {"resnet50": (3, 5, 5, 7), "resnet101": (3, 3, 5, 7)}
CLASSES = 1000

OTHERS = [
    "resnet18",
    "resnext50_32x4d",
    "wide_resnet50_2",
    "mobilenet_v2",
    "densenet121",
    "googlenet",
]

RESNETS = [name for name in list_models(module=torchvision.models) if "resne" in name]


def make(host, name):
    with torch.device("meta"):
        return build(host, None if name == "plain" else name)


def torchvisions(name):
    settings = {"init_weights": False} if name == "googlenet" else {}
    with torch.device("meta"):
        return get_model(name, weights=None, **settings)


def by_ptflops(host, name):
    """What ptflops says of a network, operations and parameters; it prints nothing."""
    printed = io.StringIO()
    with redirect_stdout(printed), redirect_stderr(printed):
        counts = get_model_complexity_info(
            make(host, name), IMAGE[1:], print_per_layer_stat=False, as_strings=False
        )
    assert printed.getvalue() == ""
    return counts


def linear_biases(host, name):
    """One addition an output of the classifier and of both layers of a perceptron."""
    perceptrons = sum(n * (c // 16 + c) for n, c in zip(BLOCKS[host], WIDTHS, strict=True))
    return CLASSES + {"se": 1, "cbam": 2}.get(name, 0) * perceptrons  # CBAM's runs twice


def one_dimensional(host, name):
    """ECA's convolution: every channel folds its kernel_size neighbours; no bias."""
    if name != "eca":
        return 0
    return sum(n * c * k for n, c, k in zip(BLOCKS[host], WIDTHS, ECA_SIZES[host], strict=True))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("host", HOSTS)
def test_ptflops_is_leaf_and_linear_biases_and_one_dimensional_convolutions(host, name):
    operations, params = by_ptflops(host, name)
    network = make(host, name)
    ours = leaf.RULE.count(network, IMAGE).operations
    assert operations == ours + linear_biases(host, name) + one_dimensional(host, name)
    assert params == parameters.RULE.count(network, IMAGE).params


def test_torchvisions_ten_resnets_are_all_here():
    assert set(RESNETS) >= {
        *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
        *("resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d"),
        *("wide_resnet50_2", "wide_resnet101_2"),
    }


@pytest.mark.parametrize("name", RESNETS)
def test_macs_and_parameters_are_what_torchvision_prints(name):
    network = torchvisions(name)
    weights = get_model_weights(name)
    operations = macs.RULE.count(network, IMAGE).operations
    params = parameters.RULE.count(network, IMAGE).params
    assert weights.DEFAULT in list(weights)
    for weight in weights:
        assert weight.transforms().crop_size == [224]
        assert round(operations / 1e9, 3) == weight.meta["_ops"]
        assert params == weight.meta["num_params"]


def flops(model):
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.empty(IMAGE, device="meta"))
    return counter.get_total_flops()


@pytest.mark.parametrize("network", [*NETWORKS, *OTHERS])
def test_four_counters_of_products_agree(network):
    model = torchvisions(network) if network in OTHERS else make("resnet50", network)
    ran = executed.RULE.count(model, IMAGE)
    products = flops(model.eval())
    assert products == 2 * macs.RULE.count(model, IMAGE).operations
    assert TORCH.count(model, IMAGE).operations == products
    assert 2 * ran.details["macs"] == products
    assert ran.not_counted == {}


class Alive(TorchDispatchMode):
    """Measure the most bytes alive of what real operators return, without the suite's own trace."""

    def __init__(self, known: Iterable[torch.Tensor]) -> None:
        super().__init__()
        self.known = {tensor.untyped_storage().data_ptr() for tensor in known}
        self.storages: dict[int, tuple[weakref.ref, int]] = {}
        self.peak = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in self.known:
                self.storages[storage._cdata] = (weakref.ref(storage), storage.nbytes())
        alive = [size for storage, size in self.storages.values() if storage() is not None]
        self.peak = max(self.peak, sum(alive))
        return out


class Positions(nn.Module):
    """Attention with a table of positions made in the first forward, as in timm's LeViT."""

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.biases, self.tables = nn.Parameter(torch.zeros(2, tokens)), {}
        offsets = torch.arange(tokens)
        self.register_buffer("offsets", (offsets[:, None] - offsets).abs())

    def forward(self, x):
        tokens = x.flatten(2).transpose(1, 2)
        if x.device not in self.tables:
            self.tables[x.device] = self.biases[:, self.offsets].sum(0)
        weights = (tokens @ tokens.mT + self.tables[x.device]).softmax(-1)
        return (weights @ tokens).mT.reshape(x.shape)

    def train(self, mode=True):
        self.tables = {}
        return super().train(mode)


def test_of_a_module_that_keeps_tables_the_second_forward_is_what_a_cpu_holds():
    """Two scores, 4 bytes each; by the same way timm's levit_128s has a peak of 1,630,720."""
    network, image = Positions(6 * 4).eval(), torch.rand(1, 3, 6, 4)
    counted = executed.trace(warmed_up(network, image.shape), image.shape)
    with torch.inference_mode():
        network(image)
        tables = network.tables.values()
        with Alive([image, *network.parameters(), *network.buffers(), *tables]) as real:
            network(image)
    assert counted.peak == real.peak == 4 * 2 * 24 * 24
