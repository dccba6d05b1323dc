"""What calls a module that is put behind a part, and when."""

import pickle
from copy import deepcopy

import pytest
import torch
from torch import nn

from attnbench.hosts.placement.insert import insert
from attnbench.hosts.placement.position import Position


class Scaled(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(float(factor)))

    def forward(self, x):
        return x * self.factor


def at(site, channels=4):
    return Position(site, "BatchNorm2d", channels, 8, 8, 1, 1)


def network():
    return nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)), nn.ReLU()).eval()


@pytest.fixture
def images():
    return torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@torch.inference_mode()
def test_no_call_goes_through_the_slow_path_of_hooks(images):
    net = network()
    expected = torch.relu(3 * net[0](images))
    insert(net, [at("0.1")], lambda _: Scaled(3))
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in net.modules())
    assert torch.equal(net(images), expected)


@torch.inference_mode()
def test_modules_at_one_site_are_called_in_their_order(images):
    net = network()
    expected = torch.relu(net[0](images) * 3 + 5)

    class Plus(nn.Module):
        def forward(self, x):
            return x + 5

    insert(net, [at("0.1")], lambda _: Scaled(3))
    insert(net, [at("0.1")], lambda _: Plus())
    copies = [net, deepcopy(net)]
    assert all(torch.equal(copy(images), expected) for copy in copies)


@torch.inference_mode()
def test_a_forward_that_the_part_had_of_its_own_is_called(images):
    net = network()
    net[0][1].forward = lambda x: x - 1
    expected = torch.relu(3 * (net[0][0](images) - 1))
    insert(net, [at("0.1")], lambda _: Scaled(3))
    assert torch.equal(net(images), expected)


@torch.inference_mode()
def test_copies_and_pickles_call_their_own_parts_and_modules(images):
    net = network()
    insert(net, [at("0.1")], lambda _: Scaled(3))
    expected = net(images)
    for copy in (
        deepcopy(net),
        pickle.loads(pickle.dumps(net)),
        pickle.loads(pickle.dumps(deepcopy(net))),
    ):
        assert torch.equal(copy(images), expected)
        for value in copy.parameters():
            value.zero_()
        assert not copy(images).any()
    assert torch.equal(net(images), expected)


@torch.inference_mode()
@pytest.mark.parametrize("site", ["0.linear2", "0.dropout1"])
def test_a_part_of_a_layer_that_torch_may_fuse_is_called_all_the_same(site):
    """Its layer runs as one operator, without its parts, unless one of these has a hook."""
    layers = nn.Sequential(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)).eval()
    tokens = torch.randn(1, 5, 4, generator=torch.Generator().manual_seed(0))
    before = layers(tokens)
    insert(layers, [at(site)], lambda _: Scaled(3))
    assert not torch.allclose(layers(tokens), before)
