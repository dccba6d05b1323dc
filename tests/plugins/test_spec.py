import pickle

import pytest

from attnbench.modules import SettingsError, Site
from attnbench.plugins.spec import Given, parse_spec


def test_a_source_alone():
    spec = parse_spec(" path/to/my file.py:Mine ")
    assert (spec.source, spec.site, spec.settings) == ("path/to/my file.py:Mine", None, {})


def test_settings_are_pythons_literals_and_else_texts():
    spec = parse_spec(
        "mine.py:Mine,site=replace_conv2, groups=32,sizes=(3, 5),act=relu,bias=False,p=.5"
    )
    assert spec.source == "mine.py:Mine"
    assert spec.site is Site.REPLACE_CONV2
    assert spec.settings == {
        "groups": 32,
        "sizes": (3, 5),
        "act": "relu",
        "bias": False,
        "p": 0.5,
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1/16", 0.0625),
        ("-1/2", -0.5),
        ("+3 / 4", 0.75),
        ("4/2", 2.0),
        ("1/16+1", "1/16+1"),
        ("1/2/2", "1/2/2"),
        ("1./16", "1./16"),
        ("2**3", "2**3"),
        ("'1/16'", "1/16"),
    ],
)
def test_a_fraction_of_whole_numbers_is_a_number_and_nothing_else_is_computed(text: str, value):
    assert parse_spec(f"m,ratio={text}").settings == {"ratio": value}


def test_the_word_channels_stands_for_their_number_and_names_their_parameter():
    spec = parse_spec("m,oup=channels,act='channels'")
    assert spec.settings == {"oup": Given.CHANNELS, "act": "channels"}
    assert spec.channels is None
    named = {text: parse_spec(f"m,channels={text}") for text in ("width", "none", "None", "8")}
    assert [spec.channels for spec in named.values()] == [
        "width",
        Given.NOTHING,
        Given.NOTHING,
        None,
    ]
    assert [spec.settings for spec in named.values()] == [{}, {}, {}, {"channels": 8}]
    assert pickle.loads(pickle.dumps(spec)).settings["oup"] is Given.CHANNELS


def test_what_is_no_literal_is_never_computed():
    assert parse_spec("m,x=__import__('os').getcwd()").settings == {
        "x": "__import__('os').getcwd()"
    }
    assert parse_spec("m,x=" + "(" * 500).settings["x"].startswith("((")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no module before its settings"),
        ("groups=3", "names no module before its settings"),
        ("mine.py:Mine,groups=", "groups has no value"),
        ("m,ratio=1/0", "ratio has no value: division by zero"),
        (f"m,ratio={'9' * 400}/1", "ratio has no value: .* too large"),
        ("mine.py:Mine,groups=3,groups=4", "groups has two values"),
        ("mine.py:Mine,site=bn7", "unknown site 'bn7'; known: after_bn3, after_bn2, replace_conv2"),
        ("mine.py:Mine,site=(1, [2])", "unknown site"),
        ("\udcff.py:Mine", r"'\\udcff.py:Mine' holds bytes that are not UTF-8"),
        ("a\nb.py:Mine", r"'a\\nb.py:Mine' holds characters that cannot be printed"),
        ("\x1b[31mred.py:Mine", r"'\\x1b\[31mred.py:Mine' holds characters"),
        ("mine.py:Mine,act='\u202e'", "holds characters that cannot be printed"),
    ],
)
def test_what_cannot_be_taken_apart_is_refused(text: str, message: str):
    with pytest.raises(SettingsError, match=message):
        parse_spec(text)
