"""Float32 networks under autocast, which their conditions put them under."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from attnbench.hosts.conditions import BASE, Conditions

AMP = Conditions(autocast="bfloat16")


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 5, 3)).eval()


IMAGE = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(1))


def under_autocast(model):
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        return model(IMAGE)


def test_a_network_computes_what_it_does_within_autocast_and_keeps_its_weights():
    expected, placed = under_autocast(network()), AMP.place(network())
    with torch.no_grad():
        out = placed(IMAGE)
    assert out.dtype == torch.bfloat16
    assert torch.equal(out, expected)
    assert {parameter.dtype for parameter in placed.parameters()} == {torch.float32}
    assert AMP.place_image(IMAGE).dtype == torch.float32
    assert [name for name, _ in placed.named_modules()] == ["", "0", "1", "2"]
    assert type(placed).__name__ == "Sequential"
    assert not torch.is_autocast_enabled("cpu")


def test_its_copies_are_under_autocast_too_and_other_networks_are_not():
    placed = AMP.place(network())
    copied = deepcopy(placed)
    with torch.no_grad():
        copied[2].weight.zero_()
        assert copied(IMAGE).dtype == torch.bfloat16
        assert not torch.equal(copied(IMAGE), placed(IMAGE))
        assert network()(IMAGE).dtype == torch.float32
    assert type(placed) is type(AMP.place(network()))  # or each would be compiled anew


def test_on_meta_there_is_no_autocast():
    placed = Conditions("meta", autocast="bfloat16").place(network())
    assert placed(torch.empty(2, 3, 6, 6, device="meta")).dtype == torch.float32


@pytest.mark.parametrize("made", [torch.fx.symbolic_trace, torch.jit.script])
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*")
def test_a_network_whose_class_is_torchs_own_making_is_refused(made):
    with pytest.raises(RuntimeError, match=r"cannot be put under autocast$"):
        AMP.place(made(network()))


def test_within_the_network_maps_are_in_the_dtype_of_autocast():
    assert AMP.place_map(IMAGE).dtype == torch.bfloat16
    assert BASE.place_map(IMAGE).dtype == torch.float32
    assert Conditions(dtype="float16").place_map(IMAGE).dtype == torch.float16


def test_it_is_said_in_words():
    said = Conditions("cuda", channels_last=True, autocast="float16").described
    assert said == "under autocast to float16, channels last, on cuda"
