"""Modules of sequences, of channels-last maps and of several inputs, by hand."""

from pathlib import Path

import pytest
import torch
from torch import nn

from attnbench.modules import SettingsError
from attnbench.plugins.adapter import Adapted
from attnbench.plugins.resolve import parse
from attnbench.plugins.spec import Adapter, FromPlace, Given, facts_of, filled, parse_spec

CODE = """
import torch
from torch import nn

class Tokens(nn.Module):
    def __init__(self, dim, planes=0, oup=0):
        super().__init__()
        self.project = nn.Linear(dim, dim)
        self.planes, self.oup = planes, oup

    def forward(self, tokens):
        return self.project(tokens)

class Takes(nn.Module):
    def __init__(self, dim, take):
        super().__init__()

build = lambda c: nn.Conv2d(c, c, 1)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(CODE)
    return path


class Mean(nn.Module):
    """Subtracts the mean over the last axis, the channels of tokens and of (B, H, W, C)."""

    def forward(self, x):
        return x - x.mean(-1, keepdim=True)


@pytest.mark.parametrize("layout", ["tokens", "bhwc"])
def test_the_last_axis_is_that_of_channels(layout):
    x = torch.rand(2, 3, 4, 5)
    out = Adapted(Mean(), Adapter(layout=layout))(x)
    assert torch.equal(out, x - x.mean(1, keepdim=True))


def test_tokens_stand_row_by_row():
    seen = []
    module = nn.Identity()
    module.register_forward_hook(lambda _, args, __: seen.append(args[0]))
    x = torch.arange(12.0).view(1, 2, 2, 3)
    assert torch.equal(Adapted(module, Adapter(layout="tokens"))(x), x)
    assert seen[0].tolist() == [[[0, 6], [1, 7], [2, 8], [3, 9], [4, 10], [5, 11]]]


class Attend(nn.Module):
    def forward(self, query, key, value):
        assert query is key is value
        return query * 2, "weights"


def test_a_module_of_three_inputs_gets_the_map_three_times_and_a_part_is_taken():
    x = torch.rand(1, 2, 3, 3)
    assert torch.equal(Adapted(Attend(), Adapter(inputs=3, take=0))(x), x * 2)
    attention = nn.MultiheadAttention(4, 2, batch_first=True)
    tokens = torch.rand(2, 4, 3, 3)
    out = Adapted(attention, Adapter("tokens", 3, 0))(tokens)
    flat = tokens.flatten(2).transpose(1, 2)
    assert torch.equal(out, attention(flat, flat, flat)[0].transpose(1, 2).reshape(2, 4, 3, 3))


class Shorter(nn.Module):
    def forward(self, x):
        return x[:, 1:]


def test_a_module_that_returns_otherwise_is_named():
    x = torch.rand(1, 2, 3, 3)
    with pytest.raises(
        ValueError, match=r"layout=tokens: it returns \(1, 8, 2\) for .*\(1, 9, 2\)"
    ):
        Adapted(Shorter(), Adapter(layout="tokens"))(x)
    with pytest.raises(ValueError, match="take=1: it returns no tuple of that length"):
        Adapted(nn.Identity(), Adapter(take=1))(x)


def test_a_specification_says_how_a_module_is_called_and_what_follows_from_channels(file):
    spec = parse_spec("a.py:B,layout=tokens,inputs=3,take=0,inp=@channels,planes=@channels//16")
    assert spec.adapter == Adapter("tokens", 3, 0)
    assert spec.settings == {"inp": Given.CHANNELS, "planes": FromPlace("channels", "//", 16)}
    assert parse_spec("a.py:B,n=@channels*2,text='@channels'").settings == {
        "n": FromPlace("channels", "*", 2),
        "text": "@channels",
    }
    row = parse(f"{file}:Tokens,layout=tokens,planes=@channels//16,oup=@channels*2").load()
    module = row.build(64)
    assert (module.module.planes, module.module.oup) == (4, 128)
    assert module(torch.rand(2, 64, 3, 3)).shape == (2, 64, 3, 3)
    with pytest.raises(SettingsError, match="@channels//16 is not whole for 24 channels"):
        row.build(24)
    assert parse(f"{file}:build,channels=c").load().build(8)(torch.rand(1, 8, 2, 2)).shape[1] == 8


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("layout=nchw", "layout is one of tokens, bhwc, not nchw"),
        ("inputs=0", "inputs is a number from 1 to 9, not 0"),
        ("inputs=True", "inputs is a number from 1 to 9, not True"),
        ("take=-1", "take is a number from 0 to 9, not -1"),
        (
            "size=@depth",
            "'@depth' is no expression; known are @channels, @height, @width, @stride, and",
        ),
        ("size=@channels//0", "'@channels//0' is no expression"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(settings, message):
    with pytest.raises(SettingsError, match=message):
        parse_spec(f"a.py:B,{settings}")


def test_a_word_that_could_mean_two_things_is_refused(file):
    with pytest.raises(SettingsError, match="has a parameter take of its own, while ',take='"):
        parse(f"{file}:Takes,take=1").load()
    with pytest.raises(SettingsError, match="layout, inputs and take are for custom modules"):
        parse("sa,inputs=2").load()


def test_expressions_are_of_the_map_at_the_site():
    spec = parse_spec("a.py:B,size=@height,w=@width//2,s=@stride,n=@channels//4")
    place = {"channels": 8, "height": 7, "width": 14, "stride": 2}
    assert [filled(value, place) for value in spec.settings.values()] == [7, 7, 2, 2]
    assert facts_of(spec.settings) == {"channels", "height", "width", "stride"}
    with pytest.raises(SettingsError, match="@width//2 is not whole for a width of 7"):
        filled(spec.settings["w"], place | {"width": 7})
    with pytest.raises(SettingsError, match="@height is known at a site in a host alone"):
        filled(spec.settings["size"], {"channels": 8})
    with pytest.raises(SettingsError, match="'@depth' is no expression; known are @channels, @hei"):
        parse_spec("a.py:B,size=@depth")


def test_the_row_says_what_of_its_map_it_is_built_with(tmp_path):
    (tmp_path / "sized.py").write_text(
        "class Sized:\n"
        "    def __init__(self, channels, size, s=3): self.built = (channels, size, s)\n"
        "def build(c): return Sized(c, 1)\n"
        "short = lambda c: Sized(c, 2)\n"
        "def other(groups, c): ...\n"
    )
    row = parse("sized.py:Sized,size=@height,s=@stride", tmp_path).load()
    assert row.place == ("height",)
    assert row.of_place(5, 9) == {"height": 5}
    assert row.build(8, height=5).built == (8, 5, 1)  # nothing is replaced
    assert row.build(8, height=5, stride=2).built == (8, 5, 2)
    # A function's only parameter is the number of channels where it is called c.
    assert parse("sized.py:build", tmp_path).load().build(8).built == (8, 1, 3)
    assert parse("sized.py:short", tmp_path).load().build(8).built == (8, 2, 3)
    with pytest.raises(SettingsError, match="has no parameter known to take the number"):
        parse("sized.py:other", tmp_path).load()
