import pytest

from attnbench.records.options.site_patterns import chosen, parse, written

KINDS = {
    "": "Net",
    "features": "Sequential",
    "features.0": "Conv2d",
    "features.1": "BatchNorm2d",
    "features.10": "BatchNorm2d",
    "features.1.conv": "Conv2d",
}


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("features.*", ["features.0", "features.1", "features.10"]),  # crosses no dot
        ("features.?", ["features.0", "features.1"]),
        ("features.[01]@Conv2d", ["features.0"]),
        ("*.*@Batch*", ["features.1", "features.10"]),
        ("features.*,!features.1", ["features.0", "features.10"]),
        ("features.10, features.0", ["features.0", "features.10"]),
        ("*", ["features"]),  # never the network itself
        ("!features.10", ["features.1"]),  # out of the default
        ("Features.0", []),
    ],
)
def test_a_pattern_takes_whole_paths(text, paths):
    assert chosen(parse(text), KINDS, ["features.1", "features.10"]) == paths


@pytest.mark.parametrize(
    "text", ["", "a,", "a..b", ".a", "a.@", "a@b@c", "a b", "!", "a\n.b", "a@\x1b"]
)
def test_what_is_no_pattern_is_refused_with_how_one_is_written(text):
    with pytest.raises(
        ValueError, match=r"is no pattern such as features\.\*\.conv\.3@BatchNorm2d"
    ):
        parse(text)


def test_records_have_no_spaces():
    assert written(" a.* , !a.b@C ") == "a.*,!a.b@C"
