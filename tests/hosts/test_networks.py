"""torchvision's networks by their names there, and bad functions of users."""

from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models import get_model_weights, list_models

from attnbench import host_names
from attnbench.hosts.build import build
from attnbench.hosts.check_host import HostTrial, check, require_logits
from attnbench.hosts.networks import default_size, plain
from attnbench.hosts.placement.choice import Choice
from attnbench.hosts.positions import last_path, positions, surveyed
from attnbench.modules import SettingsError
from attnbench.plugins.host_reference import parse_host
from attnbench.plugins.resolve import parse
from attnbench.plugins.watch.integrity import InterferenceError, require_unchanged

FILE = Path(__file__).parents[1] / "helpers" / "small_hosts.py"

SMALL = (1, 3, 64, 64)


def host(name: str) -> str:
    return f"{FILE}:{name}"


def test_every_network_of_torchvision_for_images_has_its_name():
    rooms = (torchvision.models, torchvision.models.segmentation, torchvision.models.detection)
    theirs = {name for room in rooms for name in list_models(module=room)}
    assert set(host_names.TORCHVISION) == theirs - {*host_names.CLASSIFIERS, *host_names.DETECTORS}
    assert len(set(host_names.KNOWN)) == len(host_names.KNOWN)


SWAG = {"vit_h_14": 224}
"""Of which torchvision has weights of a finer size alone, and an architecture of this one."""


@pytest.mark.parametrize("name", [*host_names.TORCHVISION_CLASSIFIERS, *host_names.SEGMENTATION])
def test_default_sizes_are_those_of_the_first_weights(name):
    transform = next(iter(get_model_weights(name))).transforms()
    (side,) = getattr(transform, "crop_size", None) or transform.resize_size
    assert default_size(name) == (SWAG.get(name, side),) * 2


@pytest.mark.parametrize(
    ("name", "outputs"),
    [
        ("ssdlite320_mobilenet_v3_large", 2),  # scores and boxes of every anchor
        ("fcos_resnet50_fpn", 3),  # and how central they are
        ("retinanet_resnet50_fpn_v2", 2),
        # Objectness and regions at three levels, then classes and boxes.
        ("fasterrcnn_mobilenet_v3_large_320_fpn", 3 + 3 + 2),
        ("keypointrcnn_resnet50_fpn", 5 + 5 + 2 + 1),
        ("maskrcnn_resnet50_fpn_v2", 5 + 5 + 2 + 1),
    ],
)
def test_detectors_do_fixed_work(name, outputs):
    with torch.device("meta"):
        network = plain(name).eval()
        out = network(torch.empty(2, 3, 320, 320))
    assert len(out) == outputs
    if "rcnn" in name:
        classes = 2 if "keypoint" in name else 91
        assert (2 * 1000, classes) in [tuple(each.shape) for each in out]


def test_initial_values_are_torchvisions_whatever_the_module():
    torch.manual_seed(5)
    theirs = torchvision.models.mobilenet_v3_small(weights=None).state_dict()
    torch.manual_seed(5)
    ours = build("mobilenet_v3_small", "eca", size=(64, 64)).state_dict()
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())
    assert {name for name in ours if name not in theirs}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("raises", "its function fails: ValueError: no such file"),
        ("nothing", "returns a NoneType, not an nn.Module"),
        ("lazy", "without the sizes of its lazy layers"),
        ("Unstable", "fails on images of 64x64: its first call: RuntimeError: two lines of text"),
    ],
)
def test_a_host_that_cannot_be_run_is_refused_in_a_line(name, message):
    with pytest.raises(SettingsError, match=message) as error:
        surveyed(host(name), (64, 64))
    assert "\n" not in str(error.value)


def trial(name: str, **settings) -> HostTrial:
    return HostTrial(parse_host(host(name)), Choice(), (SMALL,), **settings)


def test_a_host_that_ignores_the_seed_is_refused():
    with pytest.raises(SettingsError, match=r"built twice from one seed of torch, 0\.weight has"):
        check(trial("unseeded"), [])


def test_modules_that_do_not_fit_every_site_are_left_out_with_what_would():
    checked = check(trial("mobilenet_v2"), [parse("eca"), parse("sa"), parse("sk")])
    assert checked.sites == 2
    assert checked.left_out.keys() == {"sa", "sk"}
    # 24 channels: groups of two halves for 64 groups need 128; of the divisors of 64, 4 fits.
    assert "sa fits at 0 of the 2 sites" in checked.left_out["sa"]
    assert "24 channels do not divide by 128); 'sa,groups=4' fits all 2" in checked.left_out["sa"]
    assert "replaces conv2 of a ResNet's bottlenecks" in checked.left_out["sk"]


def test_isolated_modules_need_a_site_in_every_stage():
    with pytest.raises(SettingsError, match="has no site in stage 2"):
        check(trial("mobilenet_v2", isolated=True), [])
    assert last_path(host("resnet"), Choice(), (64, 64), 3) == "layer3.0.attention"


def test_training_takes_its_loss_from_logits():
    assert require_logits(host("resnet"), SMALL) == 5
    with pytest.raises(SettingsError, match=r"in training mode .*Pyramid returns a dict"):
        require_logits(host("Pyramid"), SMALL)


def test_a_dictionary_is_fine_and_a_pyramid_no_residual():
    (where,) = positions(host("Pyramid"), Choice(), (64, 64))
    assert (where.site, where.shape) == ("fine", (8, 32, 32))


def test_a_network_whose_work_depends_on_data_is_traced_with_data():
    known = surveyed(host("DataDependent"), (64, 64))
    assert "aten._local_scalar_dense" in known.without_data
    at = Choice(at="bn")
    with pytest.raises(SettingsError, match=r"no module can stand behind bn .*: no forward"):
        positions(host("DataDependent"), at, (64, 64))
    (where,) = positions(host("DataDependent"), Choice(at="conv"), (64, 64))
    assert where.shape == (8, 64, 64)


def test_a_network_that_cannot_be_traced_says_which_call_stopped_it_and_takes_at():
    why = r"cannot be traced, .* \(aten\.convolution.*: RuntimeError: no kernel\)"
    for choice in (Choice(), Choice(at="!stem"), Choice(replace="squeeze-excite")):
        with pytest.raises(SettingsError, match=why) as error:
            positions(host("Unwatched"), choice, (64, 64))
        assert "\n" not in str(error.value)
        assert ("--at 'stem@Conv2d', which works all the same" in str(error.value)) == (
            not choice.replace
        )
    (where,) = positions(host("Unwatched"), Choice(at="conv"), (64, 64))
    assert where.shape == (8, 32, 32)


def test_a_block_that_calls_all_it_holds_is_refused():
    with pytest.raises(SettingsError, match="would be called 2 times, as its block calls all"):
        positions(host("Children"), Choice(at="first"), (64, 64))


@pytest.mark.parametrize(
    ("at", "message"),
    [
        ("layer1.*.bn3", r"matches 'layer1\.\*\.bn3' \(did you mean layer1"),
        ("layer1.0.bn2@Conv2d", r"matches 'layer1\.0\.bn2@Conv2d' \(did you mean"),
        ("layer1.0.relu", "a forward calls it 2 times; leave it out with '!layer1.0.relu'"),
        ("fc", r"it returns \(batch, 5\), which is no map"),
        ("layer1.0.bn2,!layer1.*.bn2", "leaves no module"),
    ],
)
def test_patterns_that_take_no_site_say_why(at, message):
    with pytest.raises(SettingsError, match=message):
        positions(host("resnet"), Choice(at=at), (64, 64))


def test_stages_are_levels_of_resolution_and_blocks_their_last_site():
    def sites(choice: Choice) -> list[str]:
        return [where.site for where in positions(host("resnet"), choice, (64, 64))]

    assert sites(Choice((2, 4))) == ["layer2.0.bn2", "layer4.0.bn2"]
    assert sites(Choice(at="!layer2.*.bn2")) == ["layer1.0.bn2", "layer3.0.bn2", "layer4.0.bn2"]
    both = Choice((1,), "last", at="layer1.0.bn1,layer1.0.bn2")
    assert sites(both) == ["layer1.0.bn2"]
    with pytest.raises(
        SettingsError, match=r"none of the 1 sites is in the stages .* they are in 1"
    ):
        positions(host("resnet"), Choice((3,), at="layer1.0.bn1"), (64, 64))


def test_the_hosts_own_squeeze_excite_modules_give_way_in_their_place():
    torch.manual_seed(1)
    network = build(host("mobilenet_v3"), "eca", replace="squeeze-excite", size=(64, 64))
    torch.manual_seed(1)
    before = build(host("mobilenet_v3"))
    kinds = [type(part).__name__ for part in before.modules()]
    assert kinds.count("SqueezeExcitation") == 2
    assert not [p for p in network.modules() if type(p).__name__ == "SqueezeExcitation"]
    ours, theirs = network.state_dict(), before.state_dict()
    kept = [name for name in ours if ".attention." not in name]
    assert all(torch.equal(ours[name], theirs[name]) for name in kept)
    # A kernel of ECA at each of them: 16 channels take 3 places.
    added = [ours[name].numel() for name in ours if ".attention." in name]
    assert added == [3, 3]
    with pytest.raises(SettingsError, match="has no squeeze-excite modules to replace"):
        positions(host("resnet"), Choice(replace="squeeze-excite"), (64, 64))


@pytest.mark.parametrize("of_torch", ["older", "newer"])
def test_without_data_are_networks_too_that_need_data_to_be_built(of_torch, monkeypatch, tmp_path):
    if of_torch == "older":  # whose default device is not that of a ``with``
        monkeypatch.setattr(torch, "get_default_device", lambda: torch.device("cpu"))
    file = tmp_path / "mine.py"
    file.write_text(
        "import torch\ndef net():\n"
        "    return torch.nn.Conv2d(3, int(torch.tensor(8.0).item()), 1)\n"
    )
    for name in ("regnet_x_400mf", f"{file}:net"):
        with torch.device("meta"):
            network = plain(name)
        assert all(value.is_meta for value in network.parameters())


def test_a_resnet_of_the_suite_takes_patterns_too():
    with torch.device("meta"):
        network = build("resnet18", "eca", at="layer[12].*.conv2", size=(64, 64))
    added = {name.rpartition(".attention.")[0] for name in network.state_dict() if "att" in name}
    assert added == {"layer1.0", "layer1.1", "layer2.0", "layer2.1"}
    assert isinstance(network.get_submodule("layer1.0.attention"), nn.Module)


def test_a_module_that_changes_the_blocks_of_a_network_of_torchvision_is_seen(monkeypatch):
    block = torchvision.models.mobilenetv2.InvertedResidual
    with (
        pytest.raises(InterferenceError, match=r"mobilenetv2\.InvertedResidual\.forward"),
        require_unchanged("it"),
    ):
        monkeypatch.setattr(block, "forward", lambda _, x: x)
