"""What custom code can do to a network that it finds in memory, and what leaves it as it is."""

import pytest
import torch
from torch import nn

from attnbench.plugins.watch.built_network import BuiltNetwork


def network():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())


CHANGES = {
    "0.forward": lambda net: setattr(net[0], "forward", lambda x: x),
    "0._forward_hooks": lambda net: net[0].register_forward_hook(lambda *_: None),
    "1.training": lambda net: net[1].eval(),
    "1.eps": lambda net: setattr(net[1], "eps", 0.5),
    "_modules": lambda net: setattr(net, "2", nn.GELU()),
    "layout of 0.weight": lambda net: net.to(memory_format=torch.channels_last),
    "layout of 0.bias": lambda net: net.double(),
    "0._parameters": lambda net: setattr(net[0], "weight", nn.Parameter(torch.zeros(4, 3, 3, 3))),
    "2.class": lambda net: setattr(net[2], "__class__", nn.SiLU),
}


@pytest.mark.parametrize(("name", "change"), CHANGES.items(), ids=CHANGES)
def test_a_change_of_an_object_is_named(name, change):
    net = network()
    built = BuiltNetwork("plain", net)
    assert list(built.changed()) == []
    change(net)
    assert f"{name} of plain" in built.changed()


def test_steps_and_weights_at_other_addresses_change_nothing():
    net = network()
    built = BuiltNetwork("plain", net)
    net(torch.randn(2, 3, 8, 8)).sum().backward()  # gradients, running statistics
    for tensor in (*net.parameters(), *net.buffers()):
        tensor.data = tensor.data.clone()
    net.zero_grad(set_to_none=True)
    assert list(built.changed()) == []
