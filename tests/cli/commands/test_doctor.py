import json

import pytest
from helpers.command_line import call

from attnbench.system.doctor import activity, findings
from attnbench.system.doctor.findings import Finding

GOOD = Finding("load", "0.1 on 2 cores", "good")
BAD = Finding("power", "on battery", "warning", "connect it")


@pytest.fixture
def finds(monkeypatch):
    def put(*found):
        monkeypatch.setattr(activity, "watch", lambda _: None)
        monkeypatch.setattr(findings, "examine", lambda *_: list(found))

    return put


def test_the_status_says_whether_a_run_would_be_disturbed(finds, capsys):
    finds(GOOD)
    assert call("doctor") == 0
    assert "Nothing found that would disturb a run." in capsys.readouterr().out
    finds(GOOD, BAD)
    assert call("doctor") == 1
    out = capsys.readouterr().out
    assert "connect it" in out
    assert "1 thing would disturb a run" in out


def test_json_holds_every_finding(finds, capsys):
    finds(GOOD, BAD)
    assert call("doctor", "--format", "json") == 1
    data = json.loads(capsys.readouterr().out)
    assert data["warnings"] == 1
    assert data["findings"][1] == {
        "what": "power",
        "found": "on battery",
        "state": "warning",
        "advice": "connect it",
        "code": "warning",
    }
    assert call("doctor", "--format", "xml") == 2
