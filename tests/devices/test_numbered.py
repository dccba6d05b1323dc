"""What every command does with ``--device cuda:1``: a contract, with two simulated GPUs.

The GPUs of the table are a stub: they can be selected and counted, and nothing runs on them.
"""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from pydantic import TypeAdapter, ValidationError

from attnbench.accuracy import evaluate as accuracy
from attnbench.cli import options
from attnbench.cli.sweep.worker import _offered
from attnbench.detection import evaluate as detection
from attnbench.devices import table
from attnbench.errors import UserError
from attnbench.measuring.selftest import selftest
from attnbench.records.device import Device, in_a_path
from attnbench.sweeps.device import slots
from attnbench.training import planning, processes
from attnbench.training.options import TrainOptions


@pytest.fixture
def selected(monkeypatch):
    """Two GPUs, of CUDA alone; the list has the numbers that are made current."""
    numbers = []
    monkeypatch.setitem(
        table.KINDS, "cuda", replace(table.KINDS["cuda"], count=lambda: 2, select=numbers.append)
    )
    for name in ("xpu", "mps"):
        monkeypatch.setitem(table.KINDS, name, replace(table.KINDS[name], count=lambda: 0))
    return numbers


class ReachedError(Exception):
    """The network would be placed on the device now."""


def reach(*_):
    raise ReachedError


TAKEN = [("cuda:1", "cuda:1"), ("cuda", "cuda"), (None, "cuda"), ("cpu", "cpu")]


@pytest.mark.parametrize(("asked", "device"), TAKEN)
@pytest.mark.usefixtures("selected")
def test_the_device_is_the_one_that_is_asked_for_else_the_first_gpu(asked, device):
    assert table.chosen(asked) == device
    assert planning.device_of(TrainOptions(data="digits", device=asked)) == device
    assert selftest.real_case(asked).device == device


@pytest.mark.usefixtures("selected")
def test_one_that_is_not_there_is_named_with_those_that_are():
    for use in (
        table.chosen,
        selftest.real_case,
        lambda device: planning.device_of(TrainOptions(data="digits", device=device)),
    ):
        with pytest.raises(UserError, match=r"^there is no cuda:2: torch sees cuda:0, cuda:1$"):
            use("cuda:2")
        with pytest.raises(UserError, match=r"^no XPU device is available"):
            use("xpu")


@pytest.mark.parametrize("module", [accuracy, detection])
def test_evaluations_select_their_gpu_before_anything_is_placed(monkeypatch, selected, module):
    monkeypatch.setattr(module.process_settings, "settle_arithmetic", reach)
    prepared = SimpleNamespace(
        device="cuda:1", threads=1, options=SimpleNamespace(), folder=None, images=None
    )
    with pytest.raises(ReachedError):
        module.evaluate(prepared, lambda *_: None)
    assert selected == [1]


def test_a_training_selects_its_gpu(monkeypatch, selected):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with processes.joined("cuda:1") as alone:
        assert (alone.count, alone.device) == (1, "cuda:1")
    assert selected == [1]


def test_processes_of_torchrun_take_a_gpu_each_so_none_is_named(monkeypatch, selected):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with (
        pytest.raises(UserError, match=r"takes a GPU of its own: --device cuda, not cuda:1"),
        processes.joined("cuda:1"),
    ):
        pass
    assert selected == []


def test_a_kind_that_cannot_train_is_refused_and_never_taken(monkeypatch, selected):
    monkeypatch.setitem(table.KINDS, "cuda", replace(table.KINDS["cuda"], count=lambda: 0))
    monkeypatch.setitem(table.KINDS, "mps", replace(table.KINDS["mps"], count=lambda: 1))
    assert table.chosen(None) == "mps"
    assert planning.device_of(TrainOptions(data="digits")) == "cpu"
    with pytest.raises(UserError, match=r"float64, which MPS does not have; use --device cpu$"):
        planning.device_of(TrainOptions(data="digits", device="mps"))
    assert selected == []


def test_selftest_needs_a_kernel_that_spins(monkeypatch):
    monkeypatch.setitem(table.KINDS, "xpu", replace(table.KINDS["xpu"], count=lambda: 1))
    with pytest.raises(UserError, match=r"torch has neither on XPU; use --device cpu$"):
        selftest.real_case("xpu")


@pytest.mark.parametrize(
    ("word", "device"), [("CUDA:1", "cuda:1"), ("cuda:0", "cuda"), ("auto", None), (None, None)]
)
def test_commands_read_names_as_run_does(word, device):
    assert options.device(word) == device


@pytest.mark.parametrize("word", ["gpu", "cuda:x", "cpu:1", ""])
def test_names_that_are_none_are_refused_in_one_line(word):
    with pytest.raises(UserError, match=r"^unknown device "):
        options.device(word)


def test_records_hold_devices_as_they_are_written():
    read = TypeAdapter(Device).validate_python
    assert read("cuda:1") == "cuda:1"
    for word in ("cuda:0", "gpu"):
        with pytest.raises(ValidationError):
            read(word)
    assert in_a_path("cuda:1") == "cuda1"


GPUS = [{"gpu": "A", "gpu-uuid": f"GPU-{number}", "driver": "1"} for number in range(2)]


@pytest.mark.parametrize(
    ("word", "offered"),
    [
        ("auto", ["GPU-0", "GPU-1"]),
        ("cuda", ["GPU-0", "GPU-1"]),
        ("cuda:0", ["GPU-0"]),
        ("cuda:1", ["GPU-1"]),
        ("cuda:2", []),
        ("cpu", [None]),
    ],
)
def test_a_worker_offers_the_gpus_that_are_named(monkeypatch, word, offered):
    monkeypatch.setattr(slots, "_gpus", lambda: GPUS)
    assert [slot.gpu_uuid for slot in slots.here("lab", *_offered(word))] == offered


def test_a_worker_offers_no_kind_that_sweeps_do_not_measure_on():
    with pytest.raises(UserError, match="a sweep measures on cpu and cuda, not mps"):
        _offered("mps")
