"""Slots: the devices of a machine, of which each measures one configuration at a time."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from attnbench._version import __version__
from attnbench.errors import UserError
from attnbench.text import has_words, printable

Labels = Mapping[str, str | int]
"""What is known of a slot, by the names in :data:`LABELS`."""

LABELS = {
    "name": "The machine's host name, or that of `worker --name`.",
    "device": "`cpu` or `cuda`.",
    "cpu": "The CPU's model.",
    "cores": "Cores that the process may use.",
    "platform": "Operating system and architecture.",
    "gpu": "The GPU's name.",
    "gpu-uuid": "The GPU's own number.",
    "driver": "Version of the GPU's driver.",
}
"""The labels that a sweep selects slots by, and what each means."""

OF_GPUS = ("gpu", "gpu-uuid", "driver")
"""Labels that only a GPU has."""


@dataclass(frozen=True)
class Slot:
    """A device: the CPU of a machine, or one GPU of it."""

    labels: Labels
    threads: int | None = None
    """What torch computes with where nothing is stated; None where that is not known."""
    version: str = __version__
    """Of attnbench there."""
    address: str = ""
    """Of the process that measures; empty for this one."""
    python: str = field(default_factory=platform.python_version)

    @property
    def device(self) -> str:
        """``cpu`` or ``cuda``."""
        return str(self.labels["device"])

    @property
    def shown(self) -> str:
        """The slot in messages: ``lab1 cpu``, ``lab1 NVIDIA H100 80GB HBM3``."""
        return f"{self.labels['name']} {self.labels.get('gpu', 'cpu')}"

    @property
    def identity(self) -> str:
        """What stays the same when the slot's process ends and another is started."""
        return f"{self.labels['name']} {self.labels.get('gpu-uuid', 'cpu')}"

    @property
    def key(self) -> str:
        """What tells it from every other slot that is known now."""
        return self.address or self.identity

    @property
    def gpu_uuid(self) -> str | None:
        """The GPU's own number; None for a CPU."""
        uuid = self.labels.get("gpu-uuid")
        return None if uuid is None else str(uuid)


def fits(slot: Slot, device: str | None, on: Labels) -> bool:
    """Return whether a slot is of that device, or any, and has all of those labels."""
    if device is not None and slot.device != device:
        return False
    return all(_has(slot.labels.get(name), value) for name, value in on.items())


def _has(label: str | int | None, value: str | int) -> bool:
    """Return whether a label is the number, or holds the words: ``A10`` is not in ``A100``."""
    if label is None:
        return False
    if isinstance(label, int) or isinstance(value, int):
        return str(label) == str(value)
    return has_words(label, value)


def wanted(device: str | None, on: Labels) -> str:
    """Return what a configuration asks for: ``gpu = H100``, ``cuda``, ``any device``."""
    asked = [f"{name} = {value}" for name, value in on.items()]
    return ", ".join([*asked, *([device] if device else [])]) or "any device"


def here(
    name: str | None = None, device: str | None = None, number: int | None = None
) -> list[Slot]:
    """Return the slots of this machine: each GPU, or the CPU where there is none.

    ``device``: ``cpu`` or ``cuda`` for those alone; empty where there is none of them. ``number``:
    of one GPU, among those that may be used.
    """
    shared: dict[str, str | int] = {
        "name": name or socket.gethostname(),
        "cpu": _cpu(),
        "cores": _cores(),
        "platform": platform.platform(),
    }
    gpus = _gpus() if device != "cpu" else []
    if number is not None:
        gpus = gpus[number : number + 1]
    if gpus:
        return [Slot({"device": "cuda", **shared, **gpu}) for gpu in gpus]
    return [] if device == "cuda" else [Slot({"device": "cpu", **shared})]


def with_threads(slot: Slot, environ: Mapping[str, str]) -> Slot:
    """Return the slot with the threads that torch computes with in such an environment.

    Raises:
        UserError: torch cannot be imported.
    """
    code = "import torch; print(torch.get_num_threads())"
    done = subprocess.run(
        [sys.executable, "-c", code], env=dict(environ), capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"torch cannot be imported on this machine: {printable(last, 300)}")
    return replace(slot, threads=int(done.stdout))


def _cores() -> int:
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return allowed or 1


def _cpu() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _gpus() -> list[dict[str, str | int]]:
    """Return the labels of every GPU that may be used, as the driver knows it."""
    import pynvml

    try:
        pynvml.nvmlInit()
        driver = str(pynvml.nvmlSystemGetDriverVersion())
        count = pynvml.nvmlDeviceGetCount()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(count)]
        known = [(_text(pynvml, "Name", gpu), _text(pynvml, "UUID", gpu)) for gpu in handles]
    except pynvml.NVMLError:
        return []
    gpus: list[dict[str, str | int]] = [
        {"gpu": name, "gpu-uuid": uuid, "driver": driver} for name, uuid in known
    ]
    return _visible(gpus, os.environ.get("CUDA_VISIBLE_DEVICES"))


def _text(library: Any, fact: str, gpu: Any) -> str:
    value = getattr(library, f"nvmlDeviceGet{fact}")(gpu)
    return value.decode() if isinstance(value, bytes) else str(value)


def _visible(
    gpus: Sequence[dict[str, str | int]], stated: str | None
) -> list[dict[str, str | int]]:
    """Return the GPUs that CUDA_VISIBLE_DEVICES allows: numbers, or beginnings of UUIDs."""
    if stated is None:
        return list(gpus)
    chosen = []
    for word in filter(None, map(str.strip, stated.split(","))):
        alike = [gpu for gpu in gpus if str(gpu["gpu-uuid"]).startswith(word)]
        if word.isdecimal():
            alike = list(gpus[int(word) : int(word) + 1])
        chosen += alike[:1]
    return chosen
