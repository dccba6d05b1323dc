import pytest

from attnbench.modules import SettingsError, Site
from attnbench.plugins.spec import parse_spec


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
