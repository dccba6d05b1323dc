import pytest
from helpers.command_line import call

from attnbench.stats.verdicts.explanations import REASONS


@pytest.mark.parametrize("code", REASONS)
def test_a_code_is_explained_with_what_to_do(code, capsys):
    assert call("explain", code.upper()) == 0
    out = capsys.readouterr().out
    assert out == f"{code}: {REASONS[code].means}\nWhat to do: {REASONS[code].advice}\n"


def test_without_a_code_all_are_listed(capsys):
    assert call("explain") == 0
    out = capsys.readouterr().out
    assert all(code in out for code in REASONS)


def test_an_unknown_code_is_bad_input_with_the_nearest(capsys):
    assert call("explain", "slow") == 2
    assert "unknown code 'slow' (did you mean slower?)" in capsys.readouterr().err
