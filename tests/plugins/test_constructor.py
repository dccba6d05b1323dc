"""Which parameter gets the number of channels, for the spellings of public collections."""

import re
from functools import partial, wraps
from pathlib import Path

import pytest
from torch import nn

from attnbench.modules import AttentionSpec, SettingsError, Site
from attnbench.plugins.constructor import CHANNELS, PAIRS, constructor, require_takes_channels
from attnbench.plugins.resolve import parse
from attnbench.plugins.spec import Given


def takes(signature: str):
    """A function of that signature, which returns its arguments by name."""
    return eval(f"lambda {signature}: locals()")


gate = takes("channel, reduction=16")


class Gate:
    def __init__(self, channel, reduction=16):
        self.channel, self.reduction = channel, reduction


class Forwarding(Gate):
    def __init__(self, *args, extra=1, **kwargs):
        super().__init__(*args, **kwargs)
        self.extra = extra


class Paired:
    def __init__(self, inp, oup):
        self.channel, self.reduction = inp, oup // 4


class Handing(Paired):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)


class Reading(Gate):
    """Hands nothing on, and takes any keyword."""

    def __init__(self, **kwargs):
        super().__init__(kwargs["width"])


class Created(Gate):
    def __new__(cls, *args, **kwargs):  # noqa: ARG004
        return super().__new__(cls)


class Plain(Gate):
    pass


@wraps(Gate)
def wrapped(*args, **kwargs):
    return Gate(*args, **kwargs)


@pytest.mark.parametrize("name", CHANNELS)
@pytest.mark.parametrize("signature", ["{}", "reduction=16, {}=512", "*, {}"])
def test_a_usual_name_gets_the_number_wherever_it_stands(name: str, signature: str):
    build = constructor(takes(signature.format(name)), "m", None, {})
    assert build(64)[name] == 64


@pytest.mark.parametrize(("first", "second"), PAIRS.items())
def test_a_pair_gets_both_unless_the_second_has_a_default(first: str, second: str):
    required, chosen = takes(f"{first}, {second}"), takes(f"{first}, {second}=None")
    assert constructor(required, "m", None, {})(64) == {first: 64, second: 64}
    assert constructor(chosen, "m", None, {})(64) == {first: 64, second: None}
    stated = constructor(required, "m", None, {second: 8})
    assert stated(64, **{second: 8}) == {first: 64, second: 8}


@pytest.mark.parametrize(
    "target",
    [Gate, Forwarding, Handing, Created, Plain, wrapped, partial(Gate, reduction=16)],
)
def test_classes_however_they_are_wrapped(target):
    module = constructor(target, "m", None, {})(64)
    assert (module.channel, module.reduction) == (64, 16)


def test_any_keyword_can_be_named_where_the_constructor_takes_any():
    assert constructor(Reading, "m", "width", {})(64).channel == 64


@pytest.mark.parametrize(
    ("signature", "stated", "built"),
    [
        ("channels, r=16, /", {}, {"channels": 64, "r": 16}),
        ("r=16, channels=8, /", {}, {"r": 16, "channels": 64}),
        ("r=16, channels=8, /", {"r": 4}, {"r": 4, "channels": 64}),
    ],
)
def test_what_can_only_be_passed_by_position_is_and_keeps_its_defaults(signature, stated, built):
    assert constructor(takes(signature), "m", None, stated)(64, **stated) == built


def test_the_first_usual_name_is_taken_and_others_keep_their_defaults():
    build = constructor(takes("channels, dim=32, planes=8"), "m", None, {})
    assert build(64) == {"channels": 64, "dim": 32, "planes": 8}


def test_the_documents_list_the_usual_names():
    text = (Path(__file__).parents[2] / "docs/modules.md").read_text(encoding="utf-8")
    listed = text.partition("with a usual name")[2].partition("Where the parameter")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == set(CHANNELS)
    pairs = text.partition("has no default (")[2].partition(")")[0]
    assert dict(re.findall(r"`(\w+), (\w+)`", pairs)).items() <= PAIRS.items()


def test_what_ignores_its_arguments_is_built_without_a_question():
    assert isinstance(constructor(nn.Identity, "m", None, {})(64), nn.Identity)


WITHOUT = "has no parameter known to take the number of channels"


@pytest.mark.parametrize(
    ("target", "channels", "stated", "message"),
    [
        (takes("groups=64"), None, {}, rf"<lambda>\(groups=64\) {WITHOUT}.*'m,channels=none'"),
        (takes("groups=64"), None, {}, "if groups does, write ',channels=groups'"),
        (takes("groups=64"), None, {"groups": 32}, f"{WITHOUT}.*'m,channels=none'$"),
        (takes("width, r=16"), None, {}, rf"\(width, r=16\) {WITHOUT}.*'m,channels=width'"),
        (takes("width"), None, {}, "if none does, ',width=VALUE,channels=none'"),
        (takes(""), None, {}, WITHOUT),
        (takes("*args"), None, {}, WITHOUT),
        (takes("**kwargs"), None, {}, WITHOUT),
        (partial(Gate, channel=64), None, {}, WITHOUT),
        (gate, None, {"channel": 64}, WITHOUT),
        (gate, Given.NOTHING, {}, r"<lambda>\(channel, reduction=16\) needs a value for channel"),
        (takes("channels, h, w"), None, {"w": 7}, "needs a value for h: write 'm,h=VALUE'"),
        (takes("in_channels, channels"), None, {}, "needs a value for channels"),
        (gate, None, {"groups": 3}, "has no parameter groups$"),
        (gate, "width", {}, "has no parameter width$"),
        (gate, None, {"channels": 64}, "no parameter channels; ',channels=NAME' names"),
        (gate, "channel", {"channel": 64}, "channel has two values"),
        (type, None, {}, "its parameters cannot be read"),
    ],
)
def test_what_would_get_a_number_that_is_not_its_own_is_refused(target, channels, stated, message):
    with pytest.raises(SettingsError, match=f"^m: .*{message}"):
        constructor(target, "m", channels, stated)


def test_what_the_site_adds_must_be_taken_too():
    with pytest.raises(SettingsError, match="has no parameter stride"):
        constructor(gate, "m", None, {}, ["stride"])
    taken = constructor(takes("channels, stride"), "m", None, {}, ["stride"])
    assert taken(64, stride=2) == {"channels": 64, "stride": 2}


FILE = """
class Keeps:
    def __init__(self, *args, **kwargs): self.args, self.kwargs = args, kwargs
class Groups:
    def __init__(self, groups=64): self.groups = groups
def width(width, size=3): return width, size
def two(in_channels, channels): return in_channels, channels
"""


@pytest.mark.parametrize(
    ("spec", "built"),
    [
        ("width,channels=width", (256, 3)),
        ("width,width=channels", (256, 3)),
        ("width,channels=width,size=channels", (256, 256)),
        ("width,width=8,channels=none", (8, 3)),
        ("width,width=8,channels=None", (8, 3)),
        ("width,channels='width',size='channels'", (256, "channels")),
        ("two,channels=16", (256, 16)),
        ("two,in_channels=channels,channels=channels", (256, 256)),
        ("two,in_channels=8,channels=channels", (8, 256)),
    ],
)
def test_the_specification_says_what_the_names_do_not(written, spec: str, built):
    assert parse(f"{written(FILE)}:{spec}").load().build(256) == built


def test_a_module_without_channels_keeps_its_own_defaults(written):
    assert parse(f"{written(FILE)}:Groups,channels=none").load().build(256).groups == 64
    kept = parse(f"{written(FILE)}:Keeps,channels=dim,size=7").load().build(256)
    assert (kept.args, kept.kwargs) == ((), {"dim": 256, "size": 7})


def test_a_row_gets_the_number_by_position_but_never_into_a_setting():
    require_takes_channels(takes("width, **settings"), "m")
    require_takes_channels(takes("channels=8"), "m")
    require_takes_channels(partial(gate, reduction=4), "m")
    with pytest.raises(SettingsError, match="m: the row's build takes groups=64 first"):
        require_takes_channels(takes("groups=64"), "m")


@pytest.mark.parametrize("name", ["sa,channels=groups", "se,channels=none"])
def test_a_row_of_the_table_has_no_parameter_to_name(name: str):
    with pytest.raises(SettingsError, match="only a class or function has a parameter to name"):
        parse(name).load()


def test_a_row_takes_the_number_as_a_setting_too(monkeypatch: pytest.MonkeyPatch):
    row = AttentionSpec("own", "Own", "", Site.AFTER_BN3, lambda channels, k: (channels, k))
    monkeypatch.setitem(parse.__globals__["ATTENTION"], "own", row)
    assert parse("own,k=channels").load().build(256) == (256, 256)
