import json
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
import torch

from attnbench.devices import cuda, nvml
from attnbench.records.run import MACHINE
from attnbench.runtimes.table import TABLE
from attnbench.system import environment, process_settings
from attnbench.system.environment import describe, describe_apart, moment

CHANGING = {"time", "load_average"}
OF_RUNTIMES = {package for row in TABLE.values() for package in row.packages}
"""What ``runtimes.table.facts`` adds for the case of a run."""

NVIDIA = {"gpu_uuid": "abc", "cuda": "13.2"}


@pytest.fixture
def asked(monkeypatch):
    """The devices that a driver was asked about; each has facts."""
    devices = []

    def facts(uuid):
        devices.append(uuid)
        return {"gpu_clock_mhz": 1755}

    monkeypatch.setattr(nvml, "moment", facts)
    monkeypatch.setattr(nvml, "driver", lambda: "580.65.06")
    monkeypatch.setattr(nvml, "constants", lambda uuid: {"gpu_mig": uuid == "a part"})
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
    assert not set(moment(NVIDIA)) & set(MACHINE)
    on_cuda = {"gpu", "gpu_driver", "cuda", "cudnn", *(process_settings.facts("cuda"))}
    assert set(MACHINE) - on_cuda - OF_RUNTIMES <= set(describe("cpu"))
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
    now = moment(NVIDIA)
    assert set(now) == CHANGING | {"gpu_clock_mhz"}
    assert now["gpu_clock_mhz"] == 1755
    assert asked == ["abc"]


def test_a_gpu_whose_uuid_is_unknown_or_that_is_not_nvidias_is_not_asked_for(asked) -> None:
    assert set(moment({"gpu_uuid": None, "cuda": "13.2"})) == CHANGING
    assert set(moment({"gpu_uuid": "abc"})) == CHANGING
    assert set(moment({"gpu_uuid": "abc", "cuda": None})) == CHANGING
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


@pytest.mark.parametrize("benchmark", [False, True])
def test_the_facts_of_a_case_say_what_it_chooses(apart, case, benchmark) -> None:
    facts = environment.of_case(replace(case, device="cuda", cudnn_benchmark=benchmark))
    assert facts == {"gpu": "from there"} | ({"cudnn_benchmark": True} if benchmark else {})
    assert apart == [(describe, ("cuda",))]


def test_a_cpu_is_described_by_this_process(apart) -> None:
    assert describe_apart("cpu")["torch"] == torch.__version__
    assert apart == []


def fake_gpu(monkeypatch, **more):
    known = {"name": "A GPU", "total_memory": 80 * 2**30, "major": 9, "minor": 0}
    properties = SimpleNamespace(**known, multi_processor_count=132, **more)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)


def test_the_facts_of_a_gpu(monkeypatch, asked) -> None:
    fake_gpu(monkeypatch, uuid="abc")
    facts = describe("cuda")
    assert facts["gpu"] == "A GPU"
    assert facts["gpu_uuid"] == "abc"
    assert facts["gpu_memory_bytes"] == 85_899_345_920  # 80 * 2**30
    assert facts["gpu_driver"] == "580.65.06"
    assert facts["gpu_clock_mhz"] == 1755
    assert facts["gpu_mig"] is False
    assert facts["gpu_compute_capability"] == "9.0"
    assert facts["gpu_sm_count"] == 132
    assert facts["gpu_l2_bytes"] is None  # this torch does not say
    assert asked == ["abc"]
    assert process_settings.facts("cuda").items() <= facts.items()
    assert set(MACHINE) - set(process_settings.facts("cpu")) - OF_RUNTIMES <= set(facts)
    json.dumps(facts, allow_nan=False)


def test_the_variables_that_a_gpu_obeys_are_facts(monkeypatch, asked) -> None:  # noqa: ARG001
    fake_gpu(monkeypatch)
    for name in (*cuda.VARIABLES.values(), *cuda.ALLOCATOR):
        monkeypatch.delenv(name, raising=False)
    facts = describe("cuda")
    assert {facts[name] for name in cuda.VARIABLES} == {None}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-abc")
    monkeypatch.setenv("PYTORCH_ALLOC_CONF", "expandable_segments:True")
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    facts = describe("cuda")
    assert facts["cuda_visible_devices"] == "GPU-abc"
    assert facts["allocator_settings"] == "expandable_segments:True"
    assert facts["tf32_override"] == "0"


def test_the_second_gpu_is_described_by_its_own_properties(monkeypatch, asked) -> None:  # noqa: ARG001
    numbers = []
    fake_gpu(monkeypatch, uuid="b")
    properties = torch.cuda.get_device_properties
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda of: numbers.append(of) or properties(of)
    )
    assert describe("cuda:1")["gpu_uuid"] == "b"
    assert numbers == [1]


def test_a_gpu_of_amd_is_told_as_what_it_is(monkeypatch, asked) -> None:
    fake_gpu(monkeypatch, uuid="abc", gcnArchName="gfx942")
    monkeypatch.setattr(torch.version, "hip", "7.0")
    monkeypatch.setattr(torch.version, "cuda", None)
    facts = describe("cuda")
    assert (facts["hip"], facts["gpu_architecture"], facts["cuda"]) == ("7.0", "gfx942", None)
    assert "miopen" in facts
    assert not {"cudnn", "gpu_compute_capability", "gpu_driver"} & facts.keys()
    assert asked == []
    assert set(moment(facts)) == CHANGING


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
