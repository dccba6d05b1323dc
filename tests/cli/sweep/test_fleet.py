"""Bad input of the commands that speak with a scheduler; none of them gets as far as that."""

import builtins
import json

import pytest
from helpers.command_line import call

from attnbench.cli.sweep import fleet
from attnbench.errors import UserError
from attnbench.sweeps.device import slots


@pytest.fixture(autouse=True)
def here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(slots, "_gpus", list)
    (tmp_path / "mine.toml").write_text("[[grid]]\nhost = 'resnet18'\n")
    (tmp_path / "empty.json").write_text("{}")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["worker"], "worker of which scheduler?"),
        (["worker", "lab1"], "'lab1' is no address of a scheduler such as tcp://lab1:8786"),
        (["worker", "http://lab1:80"], "is no address of a scheduler"),
        (["worker", "tcp://lab1:8786", "--device", "cuda"], "no GPU that may be used"),
        (["worker", "tcp://lab1:8786", "--device", "tpu"], "unknown device 'tpu'"),
        (["worker", "a:1", "--scheduler-file", "x"], "not by both"),
        (["worker", "--scheduler-file", "none.json"], "none.json holds no scheduler's address"),
        (["worker", "--scheduler-file", "empty.json"], "empty.json holds no scheduler's address"),
        (["worker", "a:1", "--tls-ca", "ca.pem"], "--tls-certificate is missing"),
        (["scheduler", "--host", "0.0.0.0"], "what reaches the port could run code"),
        (["scheduler", "--port", "70000"], "--port"),
        (["sweep", "mine.toml", "--scheduler", "lab1"], "is no address of a scheduler"),
        (["sweep", "status", "x", "--scheduler", "a:1"], "sweep status takes one folder"),
        (["sweep", "mine.toml", "--wait", "-1"], "--wait"),
    ],
)
def test_bad_input_is_one_line_and_status_two(words, message, capsys, tmp_path) -> None:
    assert call(*words) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert len(shown.splitlines()) == 1
    assert not (tmp_path / "reports").exists()


def test_without_dask_the_message_says_what_to_install(monkeypatch) -> None:
    known = builtins.__import__

    def absent(name, *rest, **named):
        if name == "distributed":
            raise ModuleNotFoundError(name)
        return known(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(UserError, match=r"python -m pip install -e '\.\[dask\]'"):
        fleet.require_dask()


def test_an_address_is_found_in_a_file(tmp_path) -> None:
    file = tmp_path / "scheduler.json"
    file.write_text(json.dumps({"address": "tls://10.0.0.1:8786", "id": "x"}))
    assert fleet.address_of(None, file) == "tls://10.0.0.1:8786"
    assert fleet.address_of("tcp://lab1:8786", None) == "tcp://lab1:8786"
    assert fleet.address_of(None, None) is None
