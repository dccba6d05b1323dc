import importlib.metadata
from dataclasses import replace

import pytest
import torch
from torch import nn

from attnbench.hosts import check_module
from attnbench.hosts.check_module import Place, require_fit
from attnbench.measuring import workload
from attnbench.modules import SettingsError, Site
from attnbench.plugins import timm
from attnbench.plugins.resolve import parse

pytest.importorskip("timm", reason="the extra 'timm' is not installed")

SETTINGS = {
    "bottleneck": ",feat_size=8",  # it wants to know the size of its input
    "ge": ",use_mlp=False",  # timm 1.0.31 cannot build its own default
    "bat": ",block_size=4",  # 7 does not divide the 8 of the test's input
}
"""What some need on the small input of this test."""


@pytest.mark.parametrize("name", timm.NAMES)
def test_every_layer_of_the_factory_is_fit_to_be_measured(name: str):
    row = parse(f"timm:{name}{SETTINGS.get(name, '')}").load()
    settings = {"stride": 1} if row.site is Site.REPLACE_CONV2 else {}
    require_fit(row, [Place(64, settings, (64, 8, 8))])


def test_the_names_are_those_that_the_factory_knows():
    from timm.layers import get_attn

    for name in timm.NAMES:
        assert get_attn(name) is not None
    assert len(set(timm.NAMES)) == len(timm.NAMES)


def test_a_layer_for_a_convolution_alone_has_its_norm_and_activation_behind_it():
    row = parse("timm:lambda").load()
    built = row.build(64, stride=2)
    assert [type(part) for part in built][1:] == [nn.BatchNorm2d, nn.ReLU]
    assert built(torch.rand(2, 64, 8, 8)).shape == (2, 64, 4, 4)


def test_timms_settings_are_ones_own():
    assert parse("timm:se,rd_ratio=0.25").load().build(64).fc1.out_channels == 16


def test_timms_version_is_its_origin():
    version = importlib.metadata.version("timm")
    assert parse("timm:se").origin() == f"timm {version}"


def test_what_timm_does_not_make_is_refused():
    for name in ("simam", ""):
        with pytest.raises(SettingsError, match=rf"has no layer '{name}'; known: se, ese"):
            parse(f"timm:{name}").load()


def test_without_timm_it_is_said_how_to_get_it(monkeypatch):
    def missing(_: str) -> str:
        raise importlib.metadata.PackageNotFoundError

    monkeypatch.setattr(timm, "version", missing)
    for call in (parse("timm:se").load, parse("timm:se").origin):
        with pytest.raises(SettingsError, match=r"not installed: pip install -e '\.\[timm\]'"):
            call()


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("ge", 8, "TypeError: ConvMlp.__init__.*timm:ge,NAME=VALUE.: .*use_mlp"),
        (
            "halo",
            7,
            r"_assert\(H % self.block_size == 0, ''\).*timm:halo,NAME=VALUE.: .*block_size",
        ),
        ("bottleneck", 8, "A concrete feature size .*timm:bottleneck,NAME=VALUE.: .*feat_size"),
    ],
)
def test_where_timms_defaults_do_not_do_its_settings_are_named(
    monkeypatch: pytest.MonkeyPatch, name: str, size: int, message: str
):
    monkeypatch.setattr(check_module, "places", lambda *_: [Place(64, {}, (64, size, size))])
    with pytest.raises(SettingsError, match=f"^timm:{name} is refused: on an input of .*{message}"):
        check_module.check(parse(f"timm:{name}"), "resnet50", [(1, 3, 64, 64)])


def test_the_lambda_layer_overflows_an_untrained_host_but_not_one_with_statistics(case):
    deep = replace(case, batch_size=1)  # ResNet-50 with its 16 blocks
    before, now = (
        workload.step(deep, "timm:lambda", statistics=known)() for known in (False, True)
    )
    assert not torch.isfinite(before).all()
    assert torch.isfinite(now).all()
