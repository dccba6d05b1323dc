"""Detectors are torchvision's but for the forward, which always does the same work."""

from math import ceil

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.detection import FasterRCNN, MaskRCNN, RetinaNet
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from attnbench import host_names
from attnbench.counting import EXTRA_RULES, RULES
from attnbench.counting.rules import executed
from attnbench.hosts.build import HOSTS, Host, build, default_size
from attnbench.hosts.detection import DETECTORS, SIZE, body, fixed_proposals, pooled
from attnbench.modules import ATTENTION, SettingsError
from attnbench.report.tables.sentences.scope import FIXED_WORK

FAMILIES = {"fasterrcnn": FasterRCNN, "maskrcnn": MaskRCNN, "retinanet": RetinaNet}
WITH_HEADS = [name for name in DETECTORS if not name.endswith("_backbone")]
SMALL = (1, 3, 64, 96)


def on_meta(*arguments, **keywords) -> nn.Module:
    with torch.device("meta"):
        return build(*arguments, **keywords).eval()


def torchvisions(host: str) -> nn.Module:
    """By torchvision's own constructor; where it has none, its heads on its own pyramid."""
    family, _, rest = host.partition("_")
    with torch.device("meta"):
        if rest == "resnet50_fpn":
            constructor = getattr(torchvision.models.detection, host)
            return constructor(weights=None, weights_backbone=None, num_classes=81)
        others = {"extra_blocks": LastLevelP6P7(256, 256), "returned_layers": [2, 3, 4]}
        backbone = resnet_fpn_backbone(
            backbone_name="resnet101",
            weights=None,
            norm_layer=nn.BatchNorm2d,
            trainable_layers=5,
            **(others if family == "retinanet" else {}),
        )
        return FAMILIES[family](backbone, 81)


def parameters(network: nn.Module, *, learnable: bool = False) -> int:
    return sum(p.numel() for p in network.parameters() if p.requires_grad or not learnable)


def shapes(network: nn.Module) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in network.state_dict().items()}


@pytest.mark.parametrize("host", WITH_HEADS)
def test_names_and_parameters_are_those_of_torchvisions_own_detector(host):
    expected, ours = torchvisions(host), on_meta(host)
    assert list(shapes(ours).items()) == list(shapes(expected).items())
    assert parameters(ours) == parameters(expected)
    assert isinstance(ours, FAMILIES[host.partition("_")[0]])


def test_a_seed_gives_torchvisions_initial_values_whatever_the_module(monkeypatch):
    monkeypatch.setitem(HOSTS, "resnet50", Host((1, 1, 1, 1)))
    torch.manual_seed(7)
    plain = build("fasterrcnn_resnet50_fpn").state_dict()
    torch.manual_seed(7)
    with_se = build("fasterrcnn_resnet50_fpn", "se").state_dict()
    assert all(torch.equal(with_se[name], value) for name, value in plain.items())
    added = with_se.keys() - plain.keys()
    assert added
    assert all(".attention." in name for name in added)
    torch.manual_seed(7)
    first = torchvision.models.ResNet(torchvision.models.resnet.Bottleneck, [1, 1, 1, 1])
    assert torch.equal(plain["backbone.body.layer4.0.conv3.weight"], first.layer4[0].conv3.weight)


@pytest.mark.parametrize(
    ("host", "learnable"),
    [
        # torchvision's 41,757,156 less conv1, bn1 and layer1: 9,408 + 128 + 215,808.
        ("fasterrcnn_resnet50_fpn", 41_757_156 - 225_344),
        # Four 3x3 convolutions of 256 channels, a transposed 2x2, and 81 masks.
        (
            "maskrcnn_resnet50_fpn",
            41_531_812 + 4 * (256 * 256 * 9 + 256) + (256 * 256 * 4 + 256) + (256 * 81 + 81),
        ),
        ("resnet50_backbone", 25_557_032 - (2048 * 1000 + 1000)),
        ("resnet101_backbone", 44_549_160 - (2048 * 1000 + 1000)),
    ],
)
def test_what_learns_is_counted(host, learnable):
    assert parameters(on_meta(host), learnable=True) == learnable


@pytest.mark.parametrize("host", WITH_HEADS)
def test_stem_and_first_stage_do_not_learn_nor_does_a_module_in_it(host):
    network = on_meta(host, "eca")
    frozen = {name for name, p in network.named_parameters() if not p.requires_grad}
    assert {name.split(".")[2] for name in frozen} == {"conv1", "bn1", "layer1"}
    assert "backbone.body.layer1.0.attention.conv.weight" in frozen
    every = {name for name, _ in network.named_parameters()}
    assert not any(".body.layer1." in name for name in every - frozen)
    # ECA's kernels in ResNet-50: 3 x 3 frozen, 4 x 5 + 6 x 5 + 3 x 7 not; 4 x 3 + 23 x 5 + 3 x 7.
    added = parameters(network, learnable=True) - parameters(on_meta(host), learnable=True)
    assert added == {"50": 71, "101": 148}[host.split("_")[1].removeprefix("resnet")]


@pytest.mark.parametrize("name", ATTENTION)
def test_a_module_stands_in_every_block_of_the_backbone(name):
    network = on_meta("retinanet_resnet50_fpn", name)
    prefixes = [
        block.authors_prefix for n in (1, 2, 3, 4) for block in getattr(body(network), f"layer{n}")
    ]
    assert prefixes == [ATTENTION[name].authors_prefix] * 16


def test_stages_and_blocks_are_those_of_the_backbone():
    network = on_meta("fasterrcnn_resnet50_fpn", "gc", stages=(2, 3, 4), blocks="last")
    places = {name for name, module in network.named_modules() if name.endswith(".attention")}
    assert places == {
        f"backbone.body.{place}.attention" for place in ("layer2.3", "layer3.5", "layer4.2")
    }


def test_every_detector_has_its_work_stated_in_its_report():
    named = {host.partition("_")[0] for host in WITH_HEADS}
    others = {host.partition("_")[0] for host in host_names.TORCHVISION_DETECTORS}
    assert named == set(FAMILIES)
    assert named | others == set(FIXED_WORK)


def test_the_names_that_are_known_without_torch_are_those_of_the_hosts():
    assert tuple(HOSTS) == host_names.CLASSIFIERS
    assert tuple(DETECTORS) == host_names.DETECTORS


def test_an_unknown_host_names_the_detectors_too():
    with pytest.raises(
        SettingsError, match=r"unknown host 'yolo'; known: resnet18, .*, retinanet_"
    ):
        build("yolo")
    with pytest.raises(SettingsError, match="settings without a module"):
        on_meta("resnet50_backbone", reduction=8)


def test_a_detector_has_a_larger_image():
    assert default_size("maskrcnn_resnet50_fpn") == SIZE == (800, 1333)
    assert default_size("resnet50") == (224, 224)


def test_proposals_lie_in_the_unit_square_and_on_the_level_of_their_size():
    levels = torch.tensor(fixed_proposals(), dtype=torch.float64)
    assert levels.shape == (4, 250, 4)
    assert (levels >= 0).all()
    assert (levels <= 1).all()
    sides = levels[..., 2:] - levels[..., :2]
    # Equation 1 of the pyramid's paper for an image whose shorter side is 800.
    level = torch.floor(4 + torch.log2((800 * sides).prod(-1).sqrt() / 224))
    assert torch.equal(
        level, torch.tensor([2.0, 3, 4, 5], dtype=level.dtype)[:, None].expand(4, 250)
    )
    assert len({tuple(box) for box in levels.flatten(0, 1).tolist()}) == 1000


def test_pooling_is_torchvisions_for_the_same_boxes():
    torch.manual_seed(0)
    pool = MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2)
    levels = {str(n): torch.randn(2, 4, 832 >> n + 2, 832 >> n + 2) for n in range(4)}
    proposals = torch.tensor(fixed_proposals())[:, :3]
    boxes = proposals.flatten(0, 1) * 832
    expected = pool(levels, [boxes, boxes], [(832, 832)] * 2)
    ours = pooled(levels, proposals, pool)
    # Ours are level by level, and image by image within.
    by_image = ours.view(4, 2, 3, 4, 7, 7).transpose(0, 1).reshape_as(expected)
    assert torch.allclose(by_image, expected, atol=1e-3)


@pytest.mark.parametrize("size", [(64, 96), (75, 33)])
def test_the_work_depends_on_the_images_size_alone(size):
    height, width = size
    strides = (4, 8, 16, 32)
    cells = [(ceil(height / s), ceil(width / s)) for s in strides]
    cells.append(tuple(ceil(side / 2) for side in cells[-1]))  # the level above the last stage
    out = on_meta("maskrcnn_resnet50_fpn")(torch.empty(2, 3, *size, device="meta"))
    assert [tuple(each.shape) for each in out] == [
        *((2, 3, *cell) for cell in cells),  # objectness, three anchors a place
        *((2, 12, *cell) for cell in cells),
        (2000, 81),
        (2000, 324),
        (200, 81, 28, 28),
    ]
    assert len(on_meta("fasterrcnn_resnet50_fpn")(torch.empty(1, 3, *size, device="meta"))) == 12
    anchors = sum(9 * h * w for h, w in [*cells[1:], tuple(ceil(side / 2) for side in cells[-1])])
    scores, boxes = on_meta("retinanet_resnet50_fpn")(torch.empty(2, 3, *size, device="meta"))
    assert scores.shape == (2, anchors, 81)
    assert boxes.shape == (2, anchors, 4)
    maps = on_meta("resnet50_backbone")(torch.empty(2, 3, *size, device="meta"))
    assert [tuple(each.shape) for each in maps] == [
        (2, channels, *cell) for channels, cell in zip((256, 512, 1024, 2048), cells, strict=False)
    ]


def operations(rule: str, host: str, attention=None, shape=SMALL) -> int:
    return (RULES | EXTRA_RULES)[rule].count(on_meta(host, attention), shape).operations


def test_the_heads_macs_by_hand():
    macs = {
        host: operations("macs", f"{host}_fpn")
        for host in ("fasterrcnn_resnet50", "maskrcnn_resnet50")
    }
    backbone = operations("macs", "resnet50_backbone")
    levels = [16 * 24, 8 * 12, 4 * 6, 2 * 3]
    lateral = sum(256 * width * n for width, n in zip((256, 512, 1024, 2048), levels, strict=True))
    smoothed = 256 * 256 * 9 * sum(levels)
    regions = (256 * 256 * 9 + 256 * (3 + 12)) * (sum(levels) + 1 * 2)  # and the level above
    boxes = 1000 * (256 * 7 * 7 * 1024 + 1024 * 1024 + 1024 * (81 + 324))
    expected = backbone + lateral + smoothed + regions + boxes
    assert macs["fasterrcnn_resnet50"] == expected
    # Four 3x3 convolutions at 14x14, a transposed one from there, a 1x1 at 28x28.
    masks = 100 * (14 * 14 * 256 * 256 * (4 * 9 + 4) + 28 * 28 * 256 * 81)
    assert macs["maskrcnn_resnet50"] == expected + masks


@pytest.mark.parametrize("host", [name for name in DETECTORS if "50" in name])
def test_every_operator_is_known_and_every_part_has_a_name(host):
    count = executed.count(on_meta(host, "sa"), SMALL)
    assert not count.not_counted
    stages = {name.split()[0] for name in count.parts}
    heads = {"fasterrcnn": {"fpn", "rpn", "roi_heads", "network"}, "retinanet": {"fpn", "head"}}
    heads["maskrcnn"] = heads["fasterrcnn"]
    expected = {"conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"}
    assert stages == expected | heads.get(host.partition("_")[0], set())
    assert "layer1 attention" in count.parts


def test_roi_align_weighs_and_folds_the_neighbours_of_its_samples():
    class Pool(nn.Module):
        def forward(self, x):
            return torchvision.ops.roi_align(x, x.new_empty(10, 5), 7, 0.25, 2)

    trace = executed.trace(Pool(), (1, 16, 20, 30))
    outputs = 10 * 16 * 7 * 7
    cost = trace.by(lambda _, operator: operator)["torchvision.roi_align"]
    assert cost.reductions == outputs * 2 * 2 * 4
    assert cost.elementwise == outputs * 2 * 2 * 4 + outputs
    assert cost.macs == 0
    assert cost.bytes_read == 4 * (16 * 20 * 30 + 10 * 5)
    assert cost.bytes_written == 4 * outputs


def test_roi_align_by_the_boxes_size_has_no_cost_that_shapes_tell():
    class Pool(nn.Module):
        def forward(self, x):
            return torchvision.ops.roi_align(x, x.new_empty(10, 5), 7)

    with pytest.raises(ValueError, match="depends on the boxes"):
        executed.trace(Pool(), (1, 16, 20, 30))


def test_what_mmdetection_counts_otherwise_by_hand():
    levels = 16 * 24 + 8 * 12 + 4 * 6 + 2 * 3 + 1 * 2
    boxes = 2 * 1000 * 1024  # the box head's two ReLUs are modules there
    faster = operations("leaf, mmdetection", "fasterrcnn_resnet50_fpn")
    assert faster - operations("leaf", "fasterrcnn_resnet50_fpn") == boxes - 256 * levels
    masks = 100 * 28 * 28 * 256 * (256 * 4 + 1)  # whole kernels, and a bias
    mask = operations("leaf, mmdetection", "maskrcnn_resnet50_fpn")
    assert mask - operations("leaf", "maskrcnn_resnet50_fpn") == boxes - 256 * levels + masks
    # P3 to P7; P6 is 1x2 and reads 2048 channels there, 256 here. Nine anchors lose a class.
    anchors = 8 * 12 + 4 * 6 + 2 * 3 + 1 * 2 + 1 * 1
    retina = operations("leaf, mmdetection", "retinanet_resnet50_fpn")
    expected = 1 * 2 * 256 * 9 * (2048 - 256) - 9 * (256 * 9 + 1) * anchors
    assert retina - operations("leaf", "retinanet_resnet50_fpn") == expected
    # A Conv1d counts: ECA's kernels on the channels of its blocks.
    with_eca = operations("leaf, mmdetection", "fasterrcnn_resnet50_fpn", "eca") - faster
    by_leaf = operations("leaf", "fasterrcnn_resnet50_fpn", "eca") - operations(
        "leaf", "fasterrcnn_resnet50_fpn"
    )
    kernels = 3 * 3 * 256 + 4 * 5 * 512 + 6 * 5 * 1024 + 3 * 7 * 2048
    assert with_eca - by_leaf == kernels


def test_counting_with_other_heads_leaves_the_network_as_it_was():
    network = on_meta("retinanet_resnet50_fpn")
    before = shapes(network)
    EXTRA_RULES["learnable, mmdetection"].count(network, SMALL)
    EXTRA_RULES["leaf, mmdetection"].count(network, SMALL)
    assert shapes(network) == before
