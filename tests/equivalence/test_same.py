"""Copies of the suite's modules that compute the same, and that only look like it."""

import pytest
from helpers.command_line import call

from attnbench.equivalence.same import compare
from attnbench.errors import UserError
from attnbench.modules import SettingsError
from attnbench.plugins.resolve import parse

COPIES = """
import torch
from torch import nn

class Convolutions(nn.Module):
    def __init__(self, channels, reduction=16):
        super().__init__()
        self.reduce = nn.Conv2d(channels, channels // reduction, 1)
        self.expand = nn.Conv2d(channels // reduction, channels, 1)

    def forward(self, x):
        return x * self.expand(self.bent(self.reduce(x.mean((2, 3), keepdim=True)))).sigmoid()

    bent = staticmethod(torch.relu)

class Clipped(Convolutions):
    bent = staticmethod(nn.functional.relu6)

class Leaking(Convolutions):
    def forward(self, x):
        return super().forward(x) + 1e-6

class Halved(Convolutions):
    def __init__(self, channels):
        super().__init__(channels, reduction=32)

class Failing(Convolutions):
    def forward(self, x):
        raise ValueError("no map today")

class Nothing(nn.Module):
    def __init__(self, channels):
        super().__init__()

    def forward(self, x):
        return x * 0

class Spectral(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.gate = nn.Parameter(torch.randn(channels, 1, 1, dtype=torch.complex64))

    def forward(self, x):
        spectrum = torch.fft.rfft2(x) * self.gate
        return torch.fft.irfft2(spectrum, s=x.shape[-2:])

class Other(Spectral):
    def __init__(self, channels):
        torch.randn(3)
        super().__init__(channels)

class Pooled(Convolutions):
    def forward(self, x):
        return super().forward(x)[..., ::2, ::2]
"""


@pytest.fixture
def against_se(tmp_path):
    (tmp_path / "copies.py").write_text(COPIES)

    def compared(name, **options):
        copy = parse(f"{tmp_path}/copies.py:{name}")
        return compare((parse("se"), copy), 64, **options)

    return compared


def test_another_spelling_of_the_same_function_is_the_same(against_se):
    found = against_se("Convolutions")
    assert found.same
    assert found.pairs == (
        ("fc.0.weight", "reduce.weight"),  # (4, 64) and (4, 64, 1, 1)
        ("fc.0.bias", "reduce.bias"),
        ("fc.2.weight", "expand.weight"),
        ("fc.2.bias", "expand.bias"),
    )
    assert found.params == (580, 580)  # 64 * 4 + 4 + 4 * 64 + 64
    assert found.operators["aten.convolution"] == (0, 2)
    assert found.operators["aten.addmm"] == (2, 0)


@pytest.mark.parametrize("name", ["Clipped", "Leaking"])
def test_another_function_of_the_same_weights_is_not(against_se, name):
    found = against_se(name)
    assert found.difference is not None
    assert not found.same


def test_without_counterparts_nothing_is_said_of_the_outputs(against_se):
    found = against_se("Halved")
    assert found.difference is None
    assert found.params == (580, 322)  # 64 * 2 + 2 + 2 * 64 + 64
    # The last bias alone has one: 64 values in both.
    assert found.alone[0] == ("fc.0.weight", "fc.0.bias", "fc.2.weight")
    assert "no counterpart for fc.0.weight of se" in found.reason


def test_a_map_of_names_goes_before_order(against_se):
    found = against_se("Convolutions", mapped={"fc.0.bias": "reduce.bias"})
    assert found.same
    with pytest.raises(UserError, match=r"there is no tensor bias; there are fc\.0\.weight"):
        against_se("Convolutions", mapped={"bias": "reduce.bias"})
    with pytest.raises(UserError, match=r"fc.0.bias has 4 values, expand.bias has 64"):
        against_se("Convolutions", mapped={"fc.0.bias": "expand.bias"})


def test_a_tensor_has_one_counterpart():
    both = ["--map", "fc.0.bias=fc.0.bias"]
    assert call("same", "se", "se", *both, "--map", "fc.0.bias=fc.2.bias") == 2
    assert call("same", "se", "se", *both, "--map", "fc.2.bias=fc.0.bias") == 2


def test_complex_weights_are_made_equal_too(tmp_path):
    (tmp_path / "copies.py").write_text(COPIES)
    references = [parse(f"{tmp_path}/copies.py:{name}") for name in ("Spectral", "Other")]
    assert compare((references[0], references[1]), 4).same


def test_what_returns_zeros_is_compared(tmp_path):
    (tmp_path / "copies.py").write_text(COPIES)
    nothing = parse(f"{tmp_path}/copies.py:Nothing")
    assert compare((nothing, nothing), 4).difference == 0.0


def test_outputs_of_other_shapes_are_not_compared(against_se):
    assert against_se("Pooled").reason == "outputs of (2, 64, 14, 14) and (2, 64, 7, 7)"


def test_a_module_that_fails_is_named(against_se):
    with pytest.raises(SettingsError, match=r"Failing fails: ValueError: no map today"):
        against_se("Failing")


def test_the_status_says_whether_they_are_the_same(monkeypatch, capsys):
    monkeypatch.setattr("attnbench.system.worker.call", lambda function, *args: function(*args))
    assert call("same", "eca", "eca") == 0
    assert "the same" in capsys.readouterr().out
    assert call("same", "sge", "sge,groups=32", "--format", "json") == 1
    assert call("same", "se", "se", "--map", "fc") == 2
