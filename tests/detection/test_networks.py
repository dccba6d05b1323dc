import pytest
import torch
from torch import nn
from torchvision.models.detection import RetinaNet

from attnbench.detection.networks import detector, train_mode
from attnbench.hosts.detection import body

pytestmark = pytest.mark.usefixtures("small_host")

HOST = "retinanet_resnet50_fpn"


def built(attention=None, **settings):
    torch.manual_seed(0)
    return detector(HOST, attention, 4, **settings)


def test_a_module_leaves_every_other_initial_value_as_it_is() -> None:
    plain, eca = built().state_dict(), built("eca").state_dict()
    assert {name for name in eca if ".attention." not in name} == set(plain)
    assert all(torch.equal(eca[name], value) for name, value in plain.items())
    other = built()
    assert type(other) is RetinaNet
    assert other.head.classification_head.num_classes == 5  # with the background


def test_stem_and_first_stage_are_frozen_unless_they_shall_learn() -> None:
    frozen, free = built(), built(frozen=False)
    assert not any(parameter.requires_grad for parameter in body(frozen).layer1.parameters())
    assert all(parameter.requires_grad for parameter in body(frozen).layer2.parameters())
    assert all(parameter.requires_grad for parameter in free.parameters())


@pytest.mark.parametrize("fixed", [True, False])
def test_fixed_norms_keep_their_statistics_in_training(fixed: bool) -> None:
    network = built("se")
    train_mode(network, fixed_norms=fixed)
    norms = [module for module in body(network).modules() if isinstance(module, nn.BatchNorm2d)]
    assert {norm.training for norm in norms} == {not fixed}
    assert network.training
    assert norms[-1].weight.requires_grad
