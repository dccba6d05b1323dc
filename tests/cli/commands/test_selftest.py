import pytest
from helpers.command_line import call

from attnbench.measuring.selftest import selftest


def test_selftest_says_what_it_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(selftest, "MACHINES", {"calm": {}})
    monkeypatch.setattr(selftest, "SIDES", ())  # comparisons have tests of their own
    assert call("selftest", "--simulated", "20", "--real", "0") == 0
    shown = capsys.readouterr().out
    assert "interval holds 1" in shown
    assert "this one was not tried" in shown
    monkeypatch.setattr(selftest, "FOUND", 1.1)  # more than there are
    assert call("selftest", "--simulated", "20", "--real", "0") == 1
    assert "calm: runs that find +2%: 20 of 20, at least 22 must" in capsys.readouterr().err
