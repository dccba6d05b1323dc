import tomllib

import pytest

from attnbench.sweeps.plan import toml_lines

TEXT = """# a comment with host = "x"

[defaults]
budget = 60

[[grid]]
host = "resnet50"
on = [
  # H100 is not this line
  { gpu = "H100" },
  { gpu = "A100" },
]
note = '''
[[grid]]
dtype = "x"
'''

[[grid]]
host = [ "resnet5", # resnet50
         "resnet50",
         "resnet101" ]
[grid.on]
gpu = "T4"
"""


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        (["defaults"], None, 3),
        (["defaults", "budget"], None, 4),
        (["grid", 0], None, 6),
        (["grid", 0, "host"], "resnet50", 7),
        (["grid", 0, "on"], None, 8),
        (["grid", 0, "on"], "H100", 10),
        (["grid", 0, "on", 1], "A100", 11),
        (["grid", 0, "note"], None, 13),
        (["grid", 1], None, 18),
        (["grid", 1, "host"], None, 19),
        (["grid", 1, "host"], "resnet50", 20),
        (["grid", 1, "host"], "resnet101", 21),
        (["grid", 1, "host"], "resnet", 19),
        (["grid", 1, "on", "gpu"], None, 23),
        (["grid", 7], None, 1),
    ],
)
def test_a_key_is_found_where_the_parser_has_read_it(path, value, line) -> None:
    tomllib.loads(TEXT)
    assert toml_lines.of_key(TEXT, path, value) == line


@pytest.mark.parametrize(("text", "line"), [("a = 1\nb = \nc = 3\n", 2), ("a = 1\nb = [\n1,\n", 3)])
def test_the_line_of_an_error_is_the_parsers_or_the_last(text, line) -> None:
    with pytest.raises(tomllib.TOMLDecodeError) as refused:
        tomllib.loads(text)
    assert toml_lines.of_error(refused.value, text) == line
