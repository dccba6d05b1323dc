"""A module put into a network beside a network whose own code calls that module."""

import pickle
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from helpers import small_hosts
from torch import nn
from torchvision.models.resnet import BasicBlock

from attnbench.counting import count_all
from attnbench.hosts.build import build
from attnbench.hosts.placement.blocks import AfterBn2, AfterBn3
from attnbench.hosts.placement.insert import insert
from attnbench.hosts.placement.position import Position
from attnbench.measuring.memory import peak_live_bytes
from attnbench.modules import AttentionSpec, Site

FILE = Path(small_hosts.__file__)

SIDE = 32

MAP = 8 * SIDE * SIDE * 4
"""Bytes of each map of the residual block: 8 channels in float32."""


def test_timms_own_se_resnet_is_timms_resnet_with_se_in_it():
    """As documented of seresnet50: equal but for what rules that know modules count of SE's parts.

    timm pools by mean() and has 1x1 convolutions for the linear layers; the blocks have 4 * 64
    channels and squeeze to 16.
    """
    with torch.device("cpu"):
        own = small_hosts.timm_resnet("se").eval()
        ours = build(f"{FILE}:timm_resnet", "se", size=(SIDE, SIDE)).eval()
    counts, expected = (count_all(network, (1, 3, SIDE, SIDE)) for network in (ours, own))
    for rule in ("learnable", "macs", "torch"):
        assert counts[rule] == expected[rule]
    assert counts["executed"].details == expected["executed"].details
    pooled = 256 * sum(side * side for side in (8, 4, 2, 1))
    biases = 4 * (16 + 256)
    assert counts["leaf"].operations - expected["leaf"].operations == pooled - biases
    assert counts["fvcore"].operations - expected["fvcore"].operations == pooled
    # thop adds a window's elements and divides once.
    assert counts["thop"].operations - expected["thop"].operations == pooled + 4 * 256

    for number in range(1, 5):  # timm begins with 0, by which no branch counts
        nn.init.ones_(own.get_submodule(f"layer{number}.0.bn3").weight)
    names = {".se.fc1": ".attention.fc.0", ".se.fc2": ".attention.fc.2"}
    weights = {}
    for name, value in own.state_dict().items():
        mine = name
        for theirs, its in names.items():
            mine = mine.replace(theirs, its)
        weights[mine] = value.reshape(ours.state_dict()[mine].shape)
    ours.load_state_dict(weights)
    images = torch.randn(2, 3, SIDE, SIDE, dtype=torch.float64)
    copy = pickle.loads(pickle.dumps(ours.double()))
    with torch.inference_mode():
        torch.testing.assert_close(ours(images), own.double()(images))
        assert torch.equal(copy(images), ours(images))
        for name, parameter in copy.named_parameters():
            if ".attention." in name:
                parameter.zero_()
        assert not torch.equal(copy(images), ours(images))  # the copy's block calls the copy's


def test_timm_rounds_the_width_that_se_squeezes_to():
    """Of 4 * 16 = 64 channels, 64 / 16 = 4 to a multiple of 8: two matrices and a bias more."""
    with torch.device("meta"):
        own = small_hosts.timm_resnet("se", first=16)
        ours = build(f"{FILE}:narrow_timm_resnet", "se", size=(SIDE, SIDE))
    sizes = [sum(p.numel() for p in network.parameters()) for network in (own, ours)]
    assert sizes[0] - sizes[1] == 2 * 64 * (8 - 4) + (8 - 4)


class Doubled(nn.Module):
    def forward(self, x):
        return x * 2


def doubled():
    return AttentionSpec("doubled", "Doubled", "", Site.AFTER_BN3, lambda _: Doubled())


@pytest.mark.parametrize(("host", "written_out"), [("resnet", AfterBn2), ("bottlenecks", AfterBn3)])
def test_torchvisions_blocks_call_the_module_themselves_in_any_network(host, written_out):
    """As in the suite's ResNets: the last norm's input is no longer alive while the module runs."""
    ours = build(f"{FILE}:{host}", doubled(), size=(SIDE, SIDE))
    expected = getattr(small_hosts, host)()
    expected.load_state_dict(ours.state_dict())
    for number in range(1, 5):
        (block,) = stage = expected.get_submodule(f"layer{number}")
        stage[0] = written_out(block, doubled(), {})
        assert type(ours.get_submodule(f"layer{number}.0").attention) is Doubled
    assert not any("forward" in vars(part) for part in ours.modules())
    images = torch.randn(2, 3, SIDE, SIDE)
    for training in (False, True):
        copy = pickle.loads(pickle.dumps(ours))
        networks = [network.train(training) for network in (ours, copy, deepcopy(ours), expected)]
        with torch.set_grad_enabled(training):
            peaks = [peak_live_bytes(lambda: n(images).sum()) for n in networks]  # noqa: B023
            outputs = [network(images) for network in networks]
        assert len({*peaks}) == 1
        assert all(torch.equal(out, outputs[0]) for out in outputs)


def test_a_block_with_a_forward_of_its_own_keeps_it():
    network = small_hosts.resnet()
    network.layer1[0].forward = network.layer1[0].forward
    where = [Position("layer1.0.bn2", "BatchNorm2d", 64, 8, 8, 1, 1)]
    insert(network, where, lambda _: Doubled())
    assert type(network.layer1[0]) is BasicBlock
    assert "forward" in vars(network.layer1[0].bn2)


@pytest.mark.parametrize(("mode", "more"), [("inference", MAP), ("training", 0)])
def test_the_map_before_the_site_stays_alive_while_the_module_runs(mode, more):
    """As documented: the caller of the part holds its input until the module has run too.

    In training the norm keeps it for its gradient anyway.
    """
    written = small_hosts.Residual(Doubled())
    put_in = build(f"{FILE}:Residual", doubled(), size=(SIDE, SIDE))
    images = torch.zeros(1, 3, SIDE, SIDE)
    peaks = []
    for network in (written, put_in):
        network.train(mode == "training")
        with torch.set_grad_enabled(mode == "training"):
            peaks.append(peak_live_bytes(lambda: network(images).sum()))  # noqa: B023
    if mode == "inference":
        assert peaks[0] == 3 * MAP  # shortcut, the norm's output, the module's
    assert peaks[1] - peaks[0] == more
