"""``attnbench.measure``: what it asks of the run, and how its result shows itself."""

import pytest
from helpers.stored_runs import store_run
from torch import nn

import attnbench
from attnbench import notebook
from attnbench.errors import UserError
from attnbench.measuring.events import Beginning
from attnbench.measuring.runner import Measured
from attnbench.records import run as runs
from attnbench.records.case import RunOptions


class Mine(nn.Module):
    """A class in a file."""


@pytest.fixture
def asked(monkeypatch, case, tmp_path):
    """The options that reach the runner, which answers with a stored run."""
    seen = []
    folder = store_run(tmp_path, case, sa=1.10)
    stored = runs.read(folder)

    def run(options, out, progress):
        seen.append((options, out))
        progress(stored, Beginning("warm-up", "sa"))
        return Measured((stored,), folder)

    monkeypatch.setattr(notebook.runner, "run", run)
    return seen


def test_classes_and_single_values_become_the_options_of_a_run(asked, capsys):
    attnbench.measure(Mine, "sa", host="resnet18", batch_size=8, dtype=("float32", "bfloat16"))
    ((options, out),) = asked
    assert options == RunOptions(
        modules=(f"{__file__}:Mine", "sa"),
        host="resnet18",
        batch_size=(8,),
        dtype=("float32", "bfloat16"),
    )
    assert out is None
    assert "warm-up sa" in capsys.readouterr().err


def test_the_result_shows_itself_as_a_table(asked):
    result = attnbench.measure("sa")
    assert asked
    assert set(result.frame["variant"]) == {"plain", "control", "sa"}
    text, page = repr(result), result._repr_html_()
    for shown in (text, page):
        # 1.1 * exp(-+ 2.447 * 0.013): Student with 6 degrees of freedom, 1.3% between runs
        assert "1.100 [1.066, 1.136]" in shown
        assert "Control (plain against plain)" in shown
        assert str(result.folder) in shown
    assert "<table" in page


def test_an_option_that_there_is_not_is_named(asked):
    with pytest.raises(UserError, match="no option batch; known: host, device, batch_size"):
        attnbench.measure("sa", batch=8)
    assert not asked
