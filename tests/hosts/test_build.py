"""The host is torchvision's in all but the site of the module."""

import subprocess
import sys
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck

import attnbench
from attnbench.hosts.build import HOSTS as REGISTRY
from attnbench.hosts.build import build, resnet
from attnbench.hosts.placement import fitting
from attnbench.hosts.placement.blocks import AfterBn2, AfterBn3, ReplaceConv2
from attnbench.measuring.memory import peak_live_bytes
from attnbench.modules import ATTENTION, AttentionSpec, SettingsError, Site

HOSTS = ("resnet50", "resnet101")
BLOCKS = {"resnet50": 16, "resnet101": 33}  # 3 + 4 + 6 + 3 and 3 + 4 + 23 + 3
IN_EVERY_STAGE = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3)}


def entry(builder, site=Site.AFTER_BN3) -> AttentionSpec:
    return AttentionSpec(name="own", title="Own", arxiv="0000.00000", site=site, build=builder)


IDENTITY = entry(lambda _: nn.Identity())


def seeded(make, *arguments, **keywords) -> nn.Module:
    torch.manual_seed(7)
    return make(*arguments, **keywords)


def on_meta(*arguments, **keywords) -> nn.Module:
    with torch.device("meta"):
        return build(*arguments, **keywords)


def bottlenecks(network: nn.Module) -> list[nn.Module]:
    return [block for number in (1, 2, 3, 4) for block in getattr(network, f"layer{number}")]


@pytest.fixture(scope="module")
def torchvisions() -> dict[str, dict[str, torch.Tensor]]:
    """torchvision's own networks under one seed: their state."""
    return {host: seeded(getattr(torchvision.models, host)).state_dict() for host in HOSTS}


def test_the_room_hands_on_the_function_and_not_the_file_of_its_name():
    assert attnbench.hosts.build is build
    assert attnbench.build is build


@pytest.mark.parametrize("host", HOSTS)
def test_without_attention_the_network_is_torchvisions(host, torchvisions):
    state = seeded(build, host).state_dict()
    assert list(state) == list(torchvisions[host])
    assert all(torch.equal(state[key], value) for key, value in torchvisions[host].items())


def convolutions_that_sk_replaces(keys) -> set[str]:
    return {key for key in keys if ".conv2." in key or ".bn2." in key}


@pytest.mark.parametrize(
    ("name", "host"),
    [*((name, "resnet50") for name in ATTENTION), ("se", "resnet101"), ("sk", "resnet101")],
)
def test_a_module_leaves_the_hosts_names_and_initial_values(name, host, torchvisions):
    plain = torchvisions[host]
    network = seeded(build, host, name)
    state = network.state_dict()
    replaced = convolutions_that_sk_replaces(plain) if name == "sk" else set()
    assert plain.keys() - state.keys() == replaced
    assert all(torch.equal(state[key], plain[key]) for key in plain.keys() - replaced)
    result = network.load_state_dict(plain, strict=False)
    # PyTorch misses no counter of a batch norm that the loaded state has never heard of.
    assert set(result.missing_keys) == {
        key for key in state if ".attention." in key and "num_batches_tracked" not in key
    }
    assert set(result.unexpected_keys) == replaced


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("name", ATTENTION)
def test_every_bottleneck_has_one_module_at_its_site(name, host):
    network = on_meta(host, name)
    site = {Site.AFTER_BN3: AfterBn3, Site.REPLACE_CONV2: ReplaceConv2}[ATTENTION[name].site]
    blocks = bottlenecks(network)
    assert len(blocks) == BLOCKS[host]
    assert {type(block) for block in blocks} == {site}
    assert len({id(block.attention) for block in blocks}) == BLOCKS[host]
    assert not any(isinstance(module, Bottleneck) for module in network.modules())


@pytest.mark.parametrize("host", HOSTS)
def test_a_module_behind_bn3_sees_four_times_the_planes(host):
    seen = []
    on_meta(host, entry(lambda channels: seen.append(channels) or nn.Identity()))
    expected = zip((256, 512, 1024, 2048), IN_EVERY_STAGE[host], strict=True)
    assert seen == [channels for channels, blocks in expected for _ in range(blocks)]


@pytest.mark.parametrize("host", HOSTS)
def test_a_module_for_conv2_sees_the_planes_and_the_stride(host):
    seen = []

    def record(channels: int, stride: int) -> nn.Module:
        seen.append((channels, stride))
        return nn.Identity()

    on_meta(host, entry(record, Site.REPLACE_CONV2))
    expected = []
    for stage, (planes, blocks) in enumerate(
        zip((64, 128, 256, 512), IN_EVERY_STAGE[host], strict=True)
    ):
        # The first block of all stages but the first halves the map.
        expected += [(planes, 2 if stage else 1)] + [(planes, 1)] * (blocks - 1)
    assert seen == expected


def test_sk_has_the_stride_of_the_convolution_that_it_replaces():
    network = on_meta("resnet50", "sk")
    strides = [block.attention.conv2.stride for block in network.layer2]
    assert strides == [(2, 2), (1, 1), (1, 1), (1, 1)]
    assert [block.attention.conv2g.stride for block in network.layer2] == strides


def kernel_sizes(network: nn.Module) -> list[int]:
    return [block.attention.conv.kernel_size[0] for block in bottlenecks(network)]


@pytest.mark.parametrize(
    ("host", "sizes"), [("resnet50", (3, 5, 5, 7)), ("resnet101", (3, 3, 5, 7))]
)
def test_eca_has_the_published_kernels(host, sizes):
    by_block = zip(sizes, IN_EVERY_STAGE[host], strict=True)
    expected = [size for size, blocks in by_block for _ in range(blocks)]
    assert kernel_sizes(on_meta(host, "eca")) == expected


def test_settings_override_the_published_ones():
    assert kernel_sizes(on_meta("resnet50", "eca", kernel_size=9)) == [9] * 16
    # None asks for the paper's rule, 5, 5, 5, 7: 3 * 5 + 4 * 5 + 6 * 5 + 3 * 7 = 86 parameters.
    by_rule = kernel_sizes(on_meta("resnet50", "eca", kernel_size=None))
    assert by_rule == [5] * 13 + [7] * 3
    assert sum(by_rule) == 86


def test_the_base_of_the_original_sknet_is_torchvisions_resnext():
    with torch.device("meta"):
        expected = torchvision.models.resnext50_32x4d().state_dict()
    state = on_meta("sknet50").state_dict()
    assert list(state) == list(expected)
    assert all(state[key].shape == value.shape for key, value in expected.items())


def test_the_original_sknet_has_two_grouped_branches_and_a_longer_vector():
    network = on_meta("sknet50", "sk")
    widths, vectors = [], []
    for number in (1, 2, 3, 4):
        module = network.get_submodule(f"layer{number}.1.attention")
        assert (module.conv2.groups, module.conv2.dilation) == (32, (1, 1))
        assert (module.conv2g.groups, module.conv2g.dilation) == (32, (2, 2))
        widths.append(module.conv2.in_channels)
        vectors.append(module.conv_fc1.out_channels)
    assert widths == [128, 256, 512, 1024]  # twice the planes
    assert vectors == [max(width // 16, 32) for width in widths] == [32, 32, 32, 64]
    assert f"{learnable(network) / 1e6:.1f}" == "27.5"  # as published


def learnable(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(("host", "added"), [("resnet50", 2_521_741), ("resnet101", 4_788_062)])
def test_gc_in_the_detectors_stages_adds_what_was_published(host, added):
    network = on_meta(host, "gc", stages=(2, 3, 4))
    assert learnable(network) - learnable(on_meta(host)) == added
    assert {type(block) for block in network.layer1} == {Bottleneck}
    assert {type(block) for block in network.layer2} == {AfterBn3}


def test_no_stages_leave_torchvisions_network():
    assert {type(block) for block in bottlenecks(on_meta("resnet50", "sa", stages=()))} == {
        Bottleneck
    }


TORCHVISIONS = [name for name in REGISTRY if not name.startswith("sknet")]


@pytest.mark.parametrize("host", TORCHVISIONS)
def test_every_other_host_is_torchvisions_by_its_name(host):
    with torch.device("meta"):
        expected = getattr(torchvision.models, host)().state_dict()
    state = on_meta(host).state_dict()
    assert list(state) == list(expected)
    assert all(state[key].shape == value.shape for key, value in expected.items())


def test_no_resnet_of_torchvision_is_left_out():
    kinds = ("resnet", "resnext", "wide_resnet")
    builders = torchvision.models.list_models(module=torchvision.models)
    assert set(TORCHVISIONS) == {name for name in builders if name.startswith(kinds)}


BASIC = {"resnet18", "resnet34"}
GROUPED = {"resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d"}
REFUSED = {("sk", host) for host in BASIC | GROUPED} | {("sa", host) for host in BASIC}


@pytest.fixture(scope="module")
def shape_of():
    """Return a function for the shape of a network's logits; of equal networks one runs.

    Of 2, 2, 2 and 2 blocks ResNet-50, 101 and 152 are equal, and so are others.
    """
    shapes = {}

    def run(network: nn.Module) -> torch.Size:
        key = (str(network), *((name, x.shape) for name, x in network.state_dict().items()))
        if key not in shapes:
            shapes[key] = network(torch.empty(2, 3, 64, 64, device="meta")).shape
        return shapes[key]

    return run


@pytest.mark.parametrize("host", REGISTRY)
@pytest.mark.parametrize("name", ATTENTION)
def test_a_module_fits_every_host_or_says_why_not(host, name, monkeypatch, shape_of):
    # From the second block of a stage on, all are alike.
    monkeypatch.setitem(REGISTRY, host, replace(REGISTRY[host], layers=(2, 2, 2, 2)))
    if (name, host) in REFUSED:
        with pytest.raises(SettingsError, match=r"resnet|resnext|would, and 32 in the place of 64"):
            on_meta(host, name)
    else:
        assert shape_of(on_meta(host, name)) == (2, 1000)


def test_a_basic_block_has_its_module_behind_bn2_and_before_the_addition():
    torch.manual_seed(0)
    block = BasicBlock(4, 4).eval()
    seen = []

    class Nothing(nn.Module):
        def forward(self, x):
            seen.append(x)
            return torch.zeros_like(x)

    x = torch.randn(2, 4, 9, 7)
    assert torch.equal(
        AfterBn2(deepcopy(block), entry(lambda _: Nothing()), {}).eval()(x), x.relu()
    )
    assert torch.equal(seen[0], block.bn2(block.conv2(block.bn1(block.conv1(x)).relu())))


def test_a_basic_block_with_an_identity_is_torchvisions_exactly():
    torch.manual_seed(0)
    shortcut = nn.Sequential(nn.Conv2d(4, 8, 1, 2, bias=False), nn.BatchNorm2d(8))
    block = BasicBlock(4, 8, 2, shortcut)
    ours = AfterBn2(deepcopy(block), IDENTITY, {})
    x = torch.randn(2, 4, 9, 7)
    assert all(map(torch.equal, everything(ours, x), everything(block, x)))


def test_the_last_block_of_each_stage_alone_may_carry_the_module():
    network = on_meta("resnet50", "sa", blocks="last")
    carrying = [hasattr(block, "attention") for block in bottlenecks(network)]
    assert carrying == [n in {2, 6, 12, 15} for n in range(16)]  # of 3, 4, 6 and 3 blocks
    both = on_meta("resnet50", "sa", stages=(2, 4), blocks="last")
    assert sum(hasattr(block, "attention") for block in bottlenecks(both)) == 2


def narrow_block(stride: int) -> Bottleneck:
    """torchvision's block from 64 channels to 4 * 16, with and without a downsample path."""
    shortcut = nn.Sequential(nn.Conv2d(64, 64, 1, stride, bias=False), nn.BatchNorm2d(64))
    block = Bottleneck(64, 16, stride, shortcut if stride > 1 else None)
    for key, value in block.state_dict().items():  # batch norms that do something
        if value.is_floating_point():
            value.uniform_(0.5, 1.5) if "running_var" in key else value.normal_()
    return block


def everything(block: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    """The output, the gradients and the buffers after one forward and backward."""
    x = x.clone().requires_grad_()
    out = block(x)
    out.square().mean().backward()
    gradients = [parameter.grad for _, parameter in sorted(block.named_parameters())]
    return [out, x.grad, *gradients, *(value for _, value in sorted(block.named_buffers()))]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("stride", [1, 2])
def test_with_an_identity_the_block_is_torchvisions_exactly(stride, training):
    torch.manual_seed(0)
    block = narrow_block(stride).train(training)
    ours = AfterBn3(deepcopy(block), IDENTITY, {}).train(training)
    x = torch.randn(2, 64, 9, 7)
    expected, got = everything(block, x), everything(ours, x)
    assert len(got) == len(expected)
    assert all(map(torch.equal, got, expected))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("stride", [1, 2])
def test_with_its_own_convolution_put_back_the_block_is_torchvisions_exactly(stride, training):
    torch.manual_seed(0)
    block = narrow_block(stride).train(training)
    twin = deepcopy(block)
    own = entry(lambda _, **__: nn.Sequential(twin.conv2, twin.bn2, nn.ReLU()), Site.REPLACE_CONV2)
    ours = ReplaceConv2(twin, own, {}).train(training)
    x = torch.randn(2, 64, 9, 7)
    # The names of conv2 and bn2 differ, so their gradients stand elsewhere: by sum of squares.
    expected, got = everything(block, x), everything(ours, x)
    assert torch.equal(got[0], expected[0])
    assert torch.equal(got[1], expected[1])
    assert sorted(value.double().square().sum().item() for value in got[2:]) == sorted(
        value.double().square().sum().item() for value in expected[2:]
    )


def test_the_module_sits_behind_bn3_and_before_the_addition():
    torch.manual_seed(0)
    block = narrow_block(2).eval()
    seen = []

    class Nothing(nn.Module):
        def forward(self, x):
            seen.append(x)
            return torch.zeros_like(x)

    ours = AfterBn3(deepcopy(block), entry(lambda _: Nothing()), {}).eval()
    x = torch.randn(2, 64, 9, 7)
    assert torch.equal(ours(x), block.downsample(x).relu())
    middle = block.bn2(block.conv2(block.bn1(block.conv1(x)).relu())).relu()
    assert torch.equal(seen[0], block.bn3(block.conv3(middle)))


def test_with_an_identity_the_network_is_torchvisions_exactly(torchvisions):
    network = seeded(build, "resnet50", IDENTITY).eval()
    plain = torchvision.models.resnet50().eval()
    plain.load_state_dict(torchvisions["resnet50"])
    x = torch.randn(1, 3, 32, 32)
    assert torch.equal(network(x), plain(x))


def test_resnet_is_build_by_depth():
    with torch.device("meta"):
        network = attnbench.resnet(50, attention="se", stages=(4,), reduction=8)
    assert attnbench.resnet is resnet
    assert network.layer4[0].attention.fc[0].out_features == 2048 // 8
    assert type(network.layer3[0]) is Bottleneck


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: resnet(19),
            r"unknown host 'resnet19' \(did you mean resnet18, .*\?\); known",
        ),
        (
            lambda: build("vgg"),
            r"unknown host 'vgg' .did you mean vgg\d+, .*; known: resnet18, resnet34, resnet50, ",
        ),
        (lambda: resnet(50, "se", blocks="first"), "unknown blocks 'first'; known: all, last"),
        (
            lambda: on_meta("resnet18", "sk"),
            "sk: the blocks of resnet18 have no site replace_conv2; known: after_bn2, after_bn3",
        ),
        (
            lambda: on_meta("resnet50", replace(ATTENTION["se"], site=Site.AFTER_BN2)),
            "se: the blocks of resnet50 have no site after_bn2; known: after_bn3, replace_conv2",
        ),
        (
            lambda: on_meta("resnext101_32x8d", "sk"),
            "sk is not defined for the grouped 3x3 .* of resnext101_32x8d; .*: sknet50, sknet101",
        ),
        (
            lambda: on_meta("resnet18", "sa"),
            "64 channels do not divide by 128; 128 would, and 32 in the place of 64 fits these",
        ),
        (
            lambda: on_meta("resnet50", "simam"),
            "unknown attention module 'simam'; known: se, cbam, eca, gc, sk, sge, sa",
        ),
        (lambda: resnet(50, "se", stages=(0, 2, 5)), r"unknown stages \[0, 5\]; known: 1 to 4"),
        (lambda: on_meta("resnet50", "sa", groups=100), "256 channels do not divide by 200"),
    ],
)
def test_what_is_unknown_is_told_what_is_known(call, message):
    with pytest.raises(SettingsError, match=message):
        call()


def test_a_stage_named_twice_is_one_stage():
    network = on_meta("resnet50", "sk", stages=[3, 3])
    assert [type(block) for block in network.layer3] == [ReplaceConv2] * 6


def test_settings_without_a_module_are_refused():
    with pytest.raises((SettingsError, TypeError)):
        on_meta("resnet50", reduction=8)


def test_importing_the_package_does_not_import_torch():
    code = "import sys, attnbench; print(attnbench.__version__, 'torch' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == [attnbench.__version__, "False"]


def test_the_package_has_no_other_lazy_names():
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        _ = attnbench.no_such_name


def live(network: nn.Module) -> int:
    """The most bytes alive in one forward of an image of 64x64."""
    network, image = network.to("meta").eval(), torch.empty(1, 3, 64, 64, device="meta")
    with torch.no_grad():
        return peak_live_bytes(lambda: network(image))


@pytest.mark.parametrize("host", ["resnet18", "resnet50"])
def test_a_block_holds_what_torchvisions_holds_and_not_a_byte_more(host):
    # Two calls in one expression would keep the first one's input alive during the second.
    site = Site.AFTER_BN2 if host == "resnet18" else Site.AFTER_BN3
    nothing = entry(lambda _: nn.Identity(), site)
    plain = live(build(host))
    assert live(build(host, nothing)) == plain
    assert plain == live(getattr(torchvision.models, host)())


def test_what_stands_in_place_of_conv2_frees_what_conv2_would():
    def conv2(channels, stride):
        return nn.Conv2d(channels, channels, 3, stride, padding=1)

    assert live(build("resnet50", entry(conv2, Site.REPLACE_CONV2))) == live(build("resnet50"))


class Seen(nn.Module):
    """Holds a parameter of the sides that it is built for, and adds it to a map of just these."""

    def __init__(self, channels: int, height: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.stride, self.p = stride, nn.Parameter(torch.zeros(1, channels, height, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x + self.p)[..., :: self.stride, :: self.stride]


@pytest.mark.parametrize(
    ("host", "site", "stages", "sides"),
    [
        # 65x97 is 33x49 behind the stem's convolution, 17x25 behind its pooling, then half of it,
        # rounded up, in each of stages 2 to 4.
        ("resnet18", Site.AFTER_BN3, (1, 4), [(17, 25)] * 2 + [(3, 4)] * 2),
        # Before the stride of stage 2, and behind it in the other blocks.
        ("resnet50", Site.REPLACE_CONV2, (2,), [(17, 25)] + [(9, 13)] * 3),
        ("resnet50", Site.AFTER_STAGE, (1, 3), [(17, 25), (5, 7)]),
    ],
)
def test_a_module_of_one_size_gets_that_of_its_map(host, site, stages, sides) -> None:
    row = replace(entry(Seen, site), place=("height", "width"))
    network = build(host, row, stages=stages, size=(65, 97)).eval()
    found = [part for part in network.modules() if isinstance(part, Seen)]
    assert [tuple(part.p.shape[2:]) for part in found] == sides
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 65, 97)).shape == (1, 1000)


def test_a_module_after_a_stage_sees_the_output_of_its_last_block_once() -> None:
    for host, name in (("resnet18", "layer1.1"), ("resnet50", "layer1.2")):
        torch.manual_seed(0)
        plain = build(host).eval()
        outputs = []
        plain.get_submodule(name).register_forward_hook(lambda _, __, out: outputs.append(out))  # noqa: B023
        row = entry(lambda channels: nn.BatchNorm2d(channels), Site.AFTER_STAGE)
        torch.manual_seed(0)
        network = build(host, row).eval()
        added = [key for key in network.state_dict() if key not in plain.state_dict()]
        assert len({key.rpartition(".")[0] for key in added}) == 4
        network.load_state_dict(plain.state_dict(), strict=False)
        attention = network.get_submodule(f"{name}.attention")
        attention.register_forward_hook(lambda _, given, __: outputs.append(given[0]))  # noqa: B023
        with torch.inference_mode():
            for each in (plain, network):
                each(torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1)))
        assert torch.equal(*outputs)
        assert outputs[0].min() == 0  # behind the ReLU


def test_an_identity_after_stages_changes_no_bit() -> None:
    row = entry(lambda _: nn.Identity(), Site.AFTER_STAGE)
    outputs = []
    for attention in (None, row):
        torch.manual_seed(0)
        network = build("resnet50", attention).eval()
        with torch.inference_mode():
            outputs.append(network(torch.ones(1, 3, 64, 64)))
    assert torch.equal(*outputs)


def test_in_other_networks_a_module_after_stages_asks_where_these_end() -> None:
    row = entry(lambda channels: nn.BatchNorm2d(channels), Site.AFTER_STAGE)
    # Sandler et al., arXiv 1801.04381, table 2: of 17 blocks, number 17 widens to 320 channels and
    # adds nothing; the others' last of each resolution are the 3rd, 6th, 13th and 16th.
    blocks = "features.3,features.6,features.13,features.16"
    found = rf"mobilenet_v2 with --at; the last residual block of each is --at '{blocks}'"
    with pytest.raises(SettingsError, match=found):
        build("mobilenet_v2", row, size=(64, 64))
    with pytest.raises(SettingsError, match="the stages of vgg11 with --at; 'attnbench places"):
        fitting.require_site(row, "vgg11")
    with torch.device("meta"):
        network = build("mobilenet_v2", row, at="features.3,features.6", size=(64, 64))
    # The blocks stand in a container, so that the network itself is the nearest that holds them.
    added = [path for path, _ in network.named_modules() if "attention" in path]
    assert added == ["attention", "attention2"]
    assert [network.get_submodule(path).num_features for path in added] == [24, 32]
