"""What holds in one network of each family: a module changes nothing but what it computes."""

import pickle
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import nn

from attnbench.counting.rules import executed
from attnbench.hosts.build import build
from attnbench.measuring.memory import peak_live_bytes
from attnbench.modules import AttentionSpec, Site

FILE = Path(__file__).parents[2] / "helpers" / "small_hosts.py"

SIZE = (64, 64)

# Family -> patterns (empty for residual branches), and the number of sites there, by its code.
FAMILIES = {
    "mobilenet_v2": ("", 2),  # four blocks, of which two keep width and size
    "mobilenet_v3": ("", 1),  # the second block
    "efficientnet": ("", 3),  # two stages of two blocks; the first keeps its width and size too
    "convnext": ("", 3),
    "regnet": ("", 4),
    "resnet": ("", 4),
    "swin": ("features.*.0.mlp", 2),  # channels last
    "shufflenet": ("stage*.0.branch2.7@ReLU", 3),
}


def identity() -> AttentionSpec:
    return AttentionSpec("id", "Identity", "", Site.AFTER_BN3, lambda _: nn.Identity())


def scaled() -> AttentionSpec:
    def make(channels: int) -> nn.Module:
        return nn.Conv2d(channels, channels, 1, groups=channels)

    return AttentionSpec("scaled", "Scaled", "", Site.AFTER_BN3, make)


def built(family: str, attention: AttentionSpec | None) -> nn.Module:
    torch.manual_seed(3)
    at, _ = FAMILIES[family]
    return build(f"{FILE}:{family}", attention, at=at if attention else "", size=SIZE).eval()


@pytest.mark.parametrize("family", FAMILIES)
def test_an_identity_changes_no_bit_no_byte_and_no_kernel(family: str) -> None:
    plain, ours = built(family, None), built(family, identity())
    images = torch.randn(2, 3, *SIZE)
    with torch.inference_mode():
        expected = plain(images)
        assert torch.equal(ours(images), expected)
        assert torch.equal(deepcopy(ours)(images), expected)
        assert torch.equal(pickle.loads(pickle.dumps(ours))(images), expected)
    ours.load_state_dict(plain.state_dict(), strict=True)
    counts = [executed.count(network, (1, 3, *SIZE)).details for network in (plain, ours)]
    assert counts[0] == counts[1]


@pytest.mark.parametrize("mode", ["inference", "training"])
@pytest.mark.parametrize("family", FAMILIES)
def test_an_identity_adds_no_byte_to_a_step_of_real_tensors(family: str, mode: str) -> None:
    """Though the part's caller holds its input while the module runs: an identity takes none."""
    images = torch.randn(2, 3, *SIZE)
    peaks = []
    for attention in (None, identity()):
        network = built(family, attention).train(mode == "training")

        def step(network: nn.Module = network) -> None:
            torch.manual_seed(0)  # of stochastic depth
            with torch.set_grad_enabled(mode == "training"):
                out = network(images).sum()
            if mode == "training":
                out.backward()
                network.zero_grad()

        peaks.append(peak_live_bytes(step))
    assert peaks[0] == peaks[1]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_hosts_names_and_initial_values_stay_and_modules_are_the_blocks(family: str) -> None:
    plain, ours = built(family, None), built(family, scaled())
    before, after = plain.state_dict(), ours.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    added = [name for name in after if name not in before]
    owners = {name.rpartition(".attention.")[0] for name in added}
    assert len(owners) == FAMILIES[family][1] == len(added) / 2
    containers = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
    assert not any(isinstance(ours.get_submodule(owner), containers) for owner in owners)
    with torch.inference_mode():
        images = torch.randn(1, 3, *SIZE)
        assert not torch.equal(ours(images), plain(images))
        # A copy's part calls the copy's module.
        copy = deepcopy(ours)
        for name, parameter in copy.named_parameters():
            if ".attention." in name:
                parameter.zero_()
        assert not torch.equal(copy(images), ours(images))


def test_the_map_that_arrives_is_the_sites_in_any_layout() -> None:
    seen = []

    class See(nn.Module):
        def forward(self, x):
            seen.append(tuple(x.shape))
            return x

    see = AttentionSpec("see", "See", "", Site.AFTER_BN3, lambda _: See())
    with torch.inference_mode():
        built("swin", see)(torch.zeros(1, 3, *SIZE))
    # Patches of 4: 16x16 places of 16 channels, then half the side and twice the channels.
    assert seen == [(1, 16, 16, 16), (1, 32, 8, 8)]


def test_the_drop_of_a_branch_comes_after_the_module() -> None:
    network = built("convnext", scaled())
    block = network.get_submodule("features.1.0")
    assert block.stochastic_depth._forward_pre_hooks
    assert not block.stochastic_depth._forward_hooks


def test_conversion_to_synchronised_norms_drops_the_modules() -> None:
    """As docs/hosts.md says: convert in the host's function, before modules are put in."""
    network = built("mobilenet_v2", scaled())
    assert sum("forward" in vars(part) for part in network.modules()) == 2
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    assert not any("forward" in vars(part) for part in converted.modules())
