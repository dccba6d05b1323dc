import json
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
import torch

from attnbench.records.run import MACHINE
from attnbench.system import environment, nvml, process_settings
from attnbench.system.environment import describe, describe_apart, moment

CHANGING = {"time", "load_average"}


@pytest.fixture
def asked(monkeypatch):
    """The devices that a driver was asked about; each has facts."""
    devices = []

    def facts(uuid):
        devices.append(uuid)
        return {"gpu_clock_mhz": 1755}

    monkeypatch.setattr(nvml, "moment", facts)
    monkeypatch.setattr(nvml, "driver", lambda: "580.65.06")
    return devices


def test_the_facts_are_flat_and_complete() -> None:
    facts = describe("cpu")
    # No classes of their own, which a child process could not send.
    assert {type(value) for value in facts.values()} <= {str, int, float, bool, type(None)}
    assert facts["torch"] == torch.__version__
    for fact in ("cpu", "cores", "python", "platform", "time", "torchvision", "fvcore", "thop"):
        assert facts[fact], fact
    json.dumps(facts, allow_nan=False)


def test_the_facts_of_a_machine_do_not_change_during_a_run(asked) -> None:
    assert not set(moment({"gpu_uuid": "abc"})) & set(MACHINE)
    on_cuda = {"gpu", "gpu_driver", "cuda", "cudnn", *(process_settings.facts("cuda"))}
    assert set(MACHINE) - on_cuda <= set(describe("cpu"))
    assert asked == ["abc"]


def test_the_facts_hold_what_is_set_on_the_device() -> None:
    stated = process_settings.facts("cpu")
    assert stated.items() <= describe("cpu").items()


def test_a_moment_on_a_cpu_is_its_time_and_load(asked) -> None:
    now = moment({"cpu": "any"})
    assert set(now) == CHANGING
    assert datetime.fromisoformat(now["time"]).tzinfo == UTC
    assert asked == []


def test_a_moment_on_a_gpu_has_the_facts_of_its_driver(asked) -> None:
    now = moment({"gpu_uuid": "abc"})
    assert set(now) == CHANGING | {"gpu_clock_mhz"}
    assert now["gpu_clock_mhz"] == 1755
    assert asked == ["abc"]


def test_a_gpu_whose_uuid_is_unknown_is_not_asked_for(asked) -> None:
    assert set(moment({"gpu_uuid": None})) == CHANGING
    assert asked == []


def test_a_load_is_that_of_the_last_minute_where_there_is_one(monkeypatch) -> None:
    monkeypatch.setattr(environment.os, "getloadavg", lambda: (1.256, 9.0, 9.0), raising=False)
    assert moment({})["load_average"] == 1.26
    monkeypatch.delattr(environment.os, "getloadavg")
    assert moment({})["load_average"] is None


@pytest.mark.parametrize(
    ("lines", "known"),
    [
        (
            [
                *("processor\t: 0", "vendor_id\t: AuthenticAMD", "cpu family\t: 25"),
                *("model\t\t: 1", "model name\t: AMD EPYC", "stepping\t: 2", ""),
                *("processor\t: 1", "stepping\t: 9"),
            ],
            "vendor_id AuthenticAMD, cpu family 25, model 1, stepping 2",
        ),
        (
            ["CPU implementer\t: 0x41", "CPU part\t: 0xd40"],
            "CPU implementer 0x41, CPU part 0xd40",
        ),
        ([], None),
    ],
)
def test_a_cpu_is_known_by_more_than_its_name(monkeypatch, lines, known) -> None:
    monkeypatch.setattr(environment, "_lines", lambda _: lines)
    assert environment._cpu_id() == known


@pytest.fixture
def apart(monkeypatch):
    """What was asked of another process, which answers at once."""
    calls = []

    def call(function, *args):
        calls.append((function, args))
        return {"gpu": "from there"}

    monkeypatch.setattr(environment.worker, "call", call)
    return calls


def test_a_gpu_is_described_by_a_child_process(apart) -> None:
    assert describe_apart("cuda") == {"gpu": "from there"}
    assert apart == [(describe, ("cuda",))]


def test_a_cpu_is_described_by_this_process(apart) -> None:
    assert describe_apart("cpu")["torch"] == torch.__version__
    assert apart == []


def fake_gpu(monkeypatch, **more):
    properties = SimpleNamespace(name="A GPU", total_memory=80 * 2**30, **more)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)


def test_the_facts_of_a_gpu(monkeypatch, asked) -> None:
    fake_gpu(monkeypatch, uuid="abc")
    facts = describe("cuda")
    assert facts["gpu"] == "A GPU"
    assert facts["gpu_uuid"] == "abc"
    assert facts["gpu_memory_bytes"] == 85_899_345_920  # 80 * 2**30
    assert facts["gpu_driver"] == "580.65.06"
    assert facts["gpu_clock_mhz"] == 1755
    assert asked == ["abc"]
    assert process_settings.facts("cuda").items() <= facts.items()
    assert set(MACHINE) - set(process_settings.facts("cpu")) <= set(facts)
    json.dumps(facts, allow_nan=False)


@pytest.mark.parametrize("more", [{}, {"uuid": ""}], ids=["none", "empty"])
def test_a_gpu_may_have_no_uuid(monkeypatch, asked, more) -> None:
    fake_gpu(monkeypatch, **more)
    assert describe("cuda")["gpu_uuid"] is None
    assert asked == [None]


def test_a_package_that_is_not_there_has_no_version() -> None:
    assert environment._version("no-such-package-anywhere") is None


def test_the_first_line_of_a_file_that_may_be_empty_or_missing(tmp_path) -> None:
    path = tmp_path / "governor"
    assert environment._first_line(str(path)) is None
    path.write_text("")
    assert environment._first_line(str(path)) is None
    path.write_text("performance\nmore\n")
    assert environment._first_line(str(path)) == "performance"
