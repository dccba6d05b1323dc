from pathlib import Path

import pytest
from helpers.command_line import call

FILE = Path(__file__).parents[2] / "helpers" / "small_hosts.py"


@pytest.mark.usefixtures("one_process")
def test_every_place_is_listed_and_which_the_default_takes(capsys):
    assert call("places", "--host", f"{FILE}:Pyramid", "--image-size", "64") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["stem", "Conv2d", "8", "32x32", "1"] in lines
    assert ["down", "Conv2d", "8", "16x16", "1"] in lines
    assert not [line for line in lines if line[0] == "act"]  # one for all
    assert ["fine", "Conv2d", "8", "32x32", "1", "taken"] in lines
    (refused,) = (" ".join(line) for line in lines if "refused:" in line)
    assert "addition in Pyramid" in refused
    assert refused.endswith("refused: one side is resized: a pyramid")


@pytest.mark.usefixtures("one_process")
def test_patterns_list_what_they_take_alone(capsys):
    assert call("places", "--host", f"{FILE}:Pyramid", "--image-size", "64", "--at", "[cd]*") == 0
    out = capsys.readouterr().out
    assert "a module stands at 2" in out
    assert "stem" not in out
