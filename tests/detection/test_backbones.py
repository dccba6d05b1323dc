import pytest
import torch

from attnbench.accuracy.checkpoints import to_authors_state_dict
from attnbench.detection.backbones import load_backbone
from attnbench.detection.networks import detector
from attnbench.errors import UserError
from attnbench.hosts.build import build
from attnbench.hosts.detection import body

pytestmark = pytest.mark.usefixtures("small_host")

HOST = "retinanet_resnet50_fpn"


@pytest.fixture
def network():
    torch.manual_seed(0)
    return detector(HOST, "gc", 2)


@pytest.fixture
def authors():
    """The names of a backbone of GCNet in mmdetection, with other values than the network's."""
    torch.manual_seed(1)
    state = to_authors_state_dict(build("resnet50", "gc"))
    return {name: value for name, value in state.items() if not name.startswith("fc.")}


def test_a_detector_of_mmdetection_fills_the_backbone(network, authors) -> None:
    assert "layer1.0.context_block.conv_mask.weight" in authors
    given = {f"backbone.{name}": value for name, value in authors.items()}
    given |= {"neck.lateral_convs.0.conv.weight": torch.ones(1), "bbox_head.x": torch.ones(1)}
    unused = load_backbone(network, {"meta": {"epoch": 12}, "state_dict": given})
    assert unused == {"neck": 1, "bbox_head": 1}
    mask = body(network).layer1[0].attention.conv_mask.weight
    assert torch.equal(mask, authors["layer1.0.context_block.conv_mask.weight"])


def test_a_classifier_fills_it_without_its_last_layer(network, authors) -> None:
    given = authors | {"fc.weight": torch.ones(1000, 2048), "fc.bias": torch.ones(1000)}
    assert load_backbone(network, given) == {"fc": 2}
    assert torch.equal(body(network).conv1.weight, authors["conv1.weight"])


def test_a_backbone_that_does_not_fit_is_listed(network, authors) -> None:
    given = {
        f"backbone.{name}": value for name, value in authors.items() if "conv_mask" not in name
    }
    with pytest.raises(
        UserError, match=r"backbone: .* missing: layer1\.0\.context_block\.conv_mask"
    ):
        load_backbone(network, given | {"neck.x": torch.ones(1)})
    with pytest.raises(UserError, match=r"beside the backbone: neck \(1\)"):
        load_backbone(network, given | {"neck.x": torch.ones(1)})
