"""Residual additions of public networks: as many as the blocks that papers and code state."""

import pytest
import timm
import torch
import torchvision

from attnbench.hosts.build import build
from attnbench.hosts.placement.graph import record
from attnbench.hosts.placement.residual import Addition, additions

PYRAMID = "one side is resized: a pyramid"


def found(network: torch.nn.Module) -> list[Addition]:
    return [*additions(record(network, (1, 3, 64, 64)))]


def refusals(every: list[Addition]) -> dict[str, int]:
    reasons = [addition.refused for addition in every if addition.refused]
    return {why: reasons.count(why) for why in reasons}


@pytest.mark.parametrize(
    ("name", "sites", "first", "last"),
    [
        ("resnet18", 8, "layer1.0.bn2", "layer4.1.bn2"),
        ("resnet50", 16, "layer1.0.bn3", "layer4.2.bn3"),
        ("mobilenet_v2", 10, "features.3.conv.3", "features.16.conv.3"),
        # 15 blocks, of which 5 halve the map or widen it (arXiv 1905.02244, table 1).
        ("mobilenet_v3_large", 10, "features.1.block.1.1", "features.15.block.3.1"),
        # 16 blocks in 7 stages, whose first blocks add nothing (arXiv 1905.11946, table 1).
        ("efficientnet_b0", 9, "features.2.1.block.3.1", "features.6.3.block.3.1"),
        ("convnext_tiny", 18, "features.1.0.stochastic_depth", "features.7.2.stochastic_depth"),
        # Every block adds: the first of a stage through a convolution.
        ("regnet_y_400mf", 16, "trunk_output.block1.block1-0.f.c.1", None),
    ],
)
def test_the_modules_stand_last_on_the_residual_branches(name, sites, first, last):
    with torch.device("cpu" if name.startswith("regnet") else "meta"):
        network = torchvision.models.get_model(name, weights=None)
    every = found(network)
    assert not refusals(every)
    assert len(every) == sites == len({addition.site for addition in every})
    assert every[0].site == first
    assert last in {None, every[-1].site}
    before = name == "convnext_tiny"  # the branch is scaled outside any module, then dropped
    assert {addition.before for addition in every} == {before}


@pytest.mark.parametrize(
    ("name", "sites"),
    [
        # The ResNet-50 within adds 16 times; its heads add nothing, and there is no pyramid.
        ("fcn_resnet50", 16),
        ("deeplabv3_resnet50", 16),
        # 2, 4, 4, 6, 9 and 15 blocks (arXiv 2104.00298, table 4), of which the first of each stage
        # but the first halves the map or widens it: 2 + 3 + 3 + 5 + 8 + 14.
        ("efficientnet_v2_s", 35),
    ],
)
def test_other_networks_that_hosts_md_names_have_as_many_sites_and_nothing_is_refused(name, sites):
    with torch.device("meta"):
        options = {"weights_backbone": None} if "resnet" in name else {}
        every = found(torchvision.models.get_model(name, weights=None, **options))
    assert not refusals(every)
    assert len({addition.site for addition in every}) == len(every) == sites


def test_the_additions_of_a_feature_pyramid_are_none():
    with torch.device("meta"):
        every = found(build("maskrcnn_resnet50_fpn"))
    assert len([addition for addition in every if addition.site]) == 16
    assert refusals(every) == {PYRAMID: 3}


def test_branches_between_resolutions_are_none():
    """HRNet-W18-small: 1, 2x2, 3x2 and 4x2 blocks, and four more before the classifier."""
    with torch.device("meta"):
        every = found(timm.create_model("hrnet_w18_small", pretrained=False))
    assert len([addition for addition in every if addition.site]) == 1 + 4 + 6 + 8 + 4
    assert refusals(every) == {PYRAMID: 22, "the shortcut has 5 convolutions": 1}


def test_two_convolutions_side_by_side_and_a_norm_beside_them_are_no_residual():
    with torch.device("meta"):
        every = found(timm.create_model("repvgg_a0", pretrained=False))
    # 22 blocks of a 3x3 beside a 1x1; 17 keep size and width and have a norm beside both.
    assert refusals(every) == {
        "both sides have one convolution, so neither is the shortcut": 22,
        "the shortcut is a norm without a convolution": 17,
    }


def block(forward) -> torch.nn.Module:
    """Return a network of a convolution, norm, ReLU and identity that computes ``forward``."""

    class Block(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.bn = torch.nn.Conv2d(3, 3, 3, 1, 1), torch.nn.BatchNorm2d(3)
            self.act, self.same = torch.nn.ReLU(), torch.nn.Identity()

        def forward(self, x):
            return forward(self, x)

    with torch.device("meta"):
        return Block()


@pytest.mark.parametrize(
    ("forward", "expected"),
    [
        (lambda b, x: x + b.bn(b.conv(x)), "bn"),
        (lambda b, x: b.bn(b.conv(x)).add_(x), "bn"),
        (lambda b, x: x + b.same(b.bn(b.conv(x))), "bn"),  # the identity gives way
        (lambda b, x: x + b.same(2 * b.conv(x)), "before same"),
        (lambda b, x: x + b.act(b.conv(b.act(x))), "act ends the branch and is called 2 times"),
        (lambda b, x: x + b.conv(x).relu(), "the branch ends in aten.relu outside any module"),
        (lambda b, x: x + (y := b.conv(x)) + y.sum(), "the branch's output is used elsewhere too"),
        (lambda b, x: (x + (y := b.conv(x)), y), "the branch's output is used elsewhere too"),
        (lambda b, x: b.bn(x) + b.conv(x), "the shortcut is a norm without a convolution"),
        (lambda b, x: x + b.act(x), "neither side has a convolution"),
        (lambda b, x: b.conv(x) @ x + b.act(b.bn(b.conv(b.conv(x)))), "the shortcut has a matrix"),
        (lambda b, x: x + b.conv(x).mean((2, 3), keepdim=True), None),  # no two maps
        (lambda b, x: b.conv(x) + b.conv.bias.view(1, 3, 1, 1).expand_as(x), None),
    ],
)
def test_what_ends_a_branch(forward, expected):
    every = found(block(forward))
    if expected is None:
        assert not every
        return
    (addition, *_) = every
    site = f"before {addition.site}" if addition.before else addition.site
    assert (site or addition.refused).startswith(expected)
