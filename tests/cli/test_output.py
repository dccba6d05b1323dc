import io

import pytest
from rich.console import Console

from attnbench.cli.output import console, images_bar


def test_a_bar_over_images_begins_again_for_each_thing_that_is_done_with_them():
    shown = io.StringIO()
    with images_bar(9, Console(file=shown, width=80, force_terminal=True)) as told:
        told("reading", 0)
        told("reading", 9)
        told("evaluating", 0)
        told("evaluating", 3)
    text = shown.getvalue()
    assert text.index("reading") < text.rindex("100%") < text.index("evaluating")
    assert " 33%" in text


def test_a_name_between_colons_is_no_emoji(capsys: pytest.CaptureFixture[str]) -> None:
    console().print("The code of mine.py:Key: sha256", markup=False)
    assert capsys.readouterr().out == "The code of mine.py:Key: sha256\n"
