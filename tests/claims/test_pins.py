"""The suite's own exact figures: they hold, and no default changes without turning them red."""

import inspect

import pytest
import torch
from helpers.command_line import call

from attnbench.claims import check_pins, pins
from attnbench.claims.check_pins import CHANNELS, output_of
from attnbench.modules import ATTENTION

CHANGED = {
    "se": {"reduction": 8},
    "cbam": {"reduction": 8, "kernel_size": 3},
    "eca": {"kernel_size": 3},
    "gc": {"reduction": 8},
    "sk": {"stride": 2, "groups": (1, 16), "dilation": (1, 2), "squeezed": 64},
    "sge": {"groups": 32},
    "sa": {"groups": 32},
}
"""Another value for every default of every module."""

ONE_BY_ONE = [(name, key, value) for name, keys in CHANGED.items() for key, value in keys.items()]


def names(pattern):
    return pins.select(pattern)


def test_every_default_of_every_module_is_changed_below():
    for name, row in ATTENTION.items():
        parameters = inspect.signature(type(row.build(CHANNELS))).parameters
        assert set(parameters) - {"channels"} == set(CHANGED[name])


@pytest.mark.parametrize(("name", "key", "value"), ONE_BY_ONE)
def test_another_default_turns_the_pins_red(name, key, value):
    _, stated = pins.stated()
    torch.manual_seed(0)
    assert output_of(ATTENTION[name].build(CHANNELS, **{key: value})) != stated[f"{name}-output"]


def test_every_module_has_its_output_and_all_quantities_in_both_hosts():
    expected = {f"{name}-output" for name in ATTENTION}
    expected |= {
        f"{name}-{host}-{quantity}"
        for name in ATTENTION
        for host in ("resnet50", "resnet101")
        for quantity in pins.QUANTITIES
    }
    assert set(names(None)) == expected


def test_what_is_cheap_to_compute_holds():
    chosen = [*names("pin-*-output"), *names("pin-*-resnet50-added-params")]
    outcomes = check_pins.check(chosen)
    assert [outcome.fault for outcome in outcomes if not outcome.holds] == []


def test_a_changed_pin_is_named_with_both_figures(monkeypatch, capsys):
    version, stated = pins.stated()
    monkeypatch.setattr(
        pins, "stated", lambda: (version, stated | {"sa-resnet50-added-params": 300})
    )
    monkeypatch.setattr(check_pins, "stated", pins.stated)
    assert call("check", "--only", "pin-sa-resnet50-added-params") == 1
    assert "stated 300, computed 708 (learnable): changed" in capsys.readouterr().err


def test_kernels_of_another_torch_are_not_compared_and_parameters_are(monkeypatch):
    _, stated = pins.stated()
    changed = stated | {"eca-resnet50-added-kernels": 1, "eca-resnet50-added-params": 1}
    monkeypatch.setattr(check_pins, "stated", lambda: ("2.6", changed))
    monkeypatch.setattr(check_pins.NetworkCounts, "get", lambda *_, **__: 80)
    kernels, params = check_pins.check(["eca-resnet50-added-kernels", "eca-resnet50-added-params"])
    assert (kernels.verdict, kernels.holds) == ("pinned for torch 2.6 only", True)
    assert (params.verdict, params.holds) == ("changed", False)
