import sys
from types import SimpleNamespace

import pytest

from attnbench.errors import UserError
from attnbench.sweeps.device import slots
from attnbench.sweeps.device.slots import Slot, fits

H100 = Slot(
    {
        "name": "lab1",
        "device": "cuda",
        "cpu": "AMD EPYC 7763 64-Core Processor",
        "cores": 16,
        "gpu": "NVIDIA H100 80GB HBM3",
        "gpu-uuid": "GPU-1",
        "driver": "570.86",
    }
)
LAPTOP = Slot({"name": "laptop", "device": "cpu", "cpu": "Intel Core i7-1365U", "cores": 4})


@pytest.mark.parametrize(
    ("slot", "device", "on", "fit"),
    [
        (H100, None, {}, True),
        (H100, "cuda", {"gpu": "h100"}, True),
        (H100, None, {"gpu": "NVIDIA H100 80GB HBM3"}, True),
        (H100, None, {"gpu": "H10"}, False),  # the words of a label are whole
        (H100, None, {"gpu": "100"}, False),
        (H100, None, {"gpu": "A100"}, False),
        (H100, None, {"gpu": "H100", "cores": 16}, True),
        (H100, None, {"gpu": "H100", "cores": 8}, False),
        (H100, None, {"cores": "16"}, True),
        (H100, "cpu", {}, False),
        (LAPTOP, "cpu", {"cpu": "i7-1365U"}, True),
        (LAPTOP, None, {"gpu": "H100"}, False),
        (LAPTOP, None, {"name": "lab1"}, False),
    ],
)
def test_a_slot_fits_by_device_and_labels(slot, device, on, fit) -> None:
    assert fits(slot, device, on) == fit


def test_a_machine_without_gpus_has_a_slot_of_its_cpu(monkeypatch) -> None:
    monkeypatch.setattr(slots, "_gpus", list)
    (slot,) = slots.here("lab2")
    assert (slot.shown, slot.device, slot.identity) == ("lab2 cpu", "cpu", "lab2 cpu")
    assert slot.labels.keys() <= slots.LABELS.keys()
    assert slots.here(device="cuda") == []


class FakeNvml(SimpleNamespace):
    """Two GPUs, as the driver's library shows them."""

    class NVMLError(Exception):
        pass

    def nvmlInit(self):  # noqa: N802  as the library has it
        if self.broken:
            raise self.NVMLError

    def nvmlSystemGetDriverVersion(self):  # noqa: N802
        return "570.86"

    def nvmlDeviceGetCount(self):  # noqa: N802
        return 2

    def nvmlDeviceGetHandleByIndex(self, number):  # noqa: N802
        return number

    def nvmlDeviceGetName(self, gpu):  # noqa: N802
        return [b"NVIDIA H100", "NVIDIA A100"][gpu]

    def nvmlDeviceGetUUID(self, gpu):  # noqa: N802
        return f"GPU-{gpu}"


@pytest.mark.parametrize(
    ("visible", "uuids"),
    [
        (None, ["GPU-0", "GPU-1"]),
        ("1", ["GPU-1"]),
        ("1,0", ["GPU-1", "GPU-0"]),
        ("GPU-1", ["GPU-1"]),
        ("7", []),
        ("", []),
    ],
)
def test_each_gpu_that_may_be_used_is_a_slot(monkeypatch, visible, uuids) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml(broken=False))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    known = slots.here(device="cuda")
    assert [slot.gpu_uuid for slot in known] == uuids
    assert all(slot.device == "cuda" for slot in known)
    if uuids[:1] == ["GPU-0"]:
        assert known[0].shown.endswith(" NVIDIA H100")
        assert known[0].labels["driver"] == "570.86"
    # The CPU is offered where it is asked for, or there is no GPU.
    assert [slot.device for slot in slots.here(device="cpu")] == ["cpu"]
    assert [slot.device for slot in slots.here()] == (["cuda"] * len(uuids) or ["cpu"])


def test_without_a_driver_there_are_no_gpus(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml(broken=True))
    assert slots.here(device="cuda") == []


@pytest.mark.parametrize(
    ("torch", "threads"),
    [
        ("import os\ndef get_num_threads(): return int(os.environ['N'])\n", 5),
        ("raise ImportError", 0),
    ],
)
def test_threads_are_those_of_torch_in_that_environment(tmp_path, torch, threads) -> None:
    (tmp_path / "torch.py").write_text(torch)
    environ = {"PYTHONPATH": str(tmp_path), "N": "5"}
    if threads:
        assert slots.with_threads(LAPTOP, environ).threads == threads
    else:
        with pytest.raises(
            UserError, match="torch cannot be imported on this machine: ImportError"
        ):
            slots.with_threads(LAPTOP, environ)
