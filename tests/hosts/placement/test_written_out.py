"""A module put into a network beside a network whose own code calls that module."""

from pathlib import Path

import pytest
import torch
from helpers import small_hosts
from torch import nn

from attnbench.counting import count_all
from attnbench.hosts.build import build
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
    details, of_own = counts["executed"].details, expected["executed"].details
    assert {**details, "peak_live_bytes": 0} == {**of_own, "peak_live_bytes": 0}
    pooled = 256 * sum(side * side for side in (8, 4, 2, 1))
    biases = 4 * (16 + 256)
    assert counts["leaf"].operations - expected["leaf"].operations == pooled - biases
    assert counts["fvcore"].operations - expected["fvcore"].operations == pooled
    # thop adds a window's elements and divides once.
    assert counts["thop"].operations - expected["thop"].operations == pooled + 4 * 256

    names = {".se.fc1": ".attention.fc.0", ".se.fc2": ".attention.fc.2"}
    weights = {}
    for name, value in own.state_dict().items():
        mine = name
        for theirs, its in names.items():
            mine = mine.replace(theirs, its)
        weights[mine] = value.reshape(ours.state_dict()[mine].shape)
    ours.load_state_dict(weights)
    images = torch.randn(2, 3, SIDE, SIDE, dtype=torch.float64)
    with torch.inference_mode():
        torch.testing.assert_close(ours.double()(images), own.double()(images))


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


@pytest.mark.parametrize(("mode", "more"), [("inference", MAP), ("training", 0)])
def test_the_map_before_the_site_stays_alive_while_the_module_runs(mode, more):
    """As documented: the caller of the part holds its input until the module has run too.

    In training the norm keeps it for its gradient anyway.
    """
    doubled = AttentionSpec("doubled", "Doubled", "", Site.AFTER_BN3, lambda _: Doubled())
    written = small_hosts.Residual(Doubled())
    put_in = build(f"{FILE}:Residual", doubled, size=(SIDE, SIDE))
    images = torch.zeros(1, 3, SIDE, SIDE)
    peaks = []
    for network in (written, put_in):
        network.train(mode == "training")
        with torch.set_grad_enabled(mode == "training"):
            peaks.append(peak_live_bytes(lambda: network(images).sum()))  # noqa: B023
    if mode == "inference":
        assert peaks[0] == 3 * MAP  # shortcut, the norm's output, the module's
    assert peaks[1] - peaks[0] == more
