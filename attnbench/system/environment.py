"""Facts about the machine and the software that can change a result."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from attnbench._version import __version__
from attnbench.devices import nvml, table
from attnbench.errors import UserError
from attnbench.records.device import kind_of, number_of
from attnbench.records.run import MOVES
from attnbench.records.schema import Case, Environment
from attnbench.system import process_settings, worker

PACKAGES = ("torchvision", "fvcore", "thop", "numpy")


def describe_apart(device: str) -> Environment:
    """Call :func:`describe`, of a GPU in a child process, as the caller would occupy it.

    Raises:
        UserError: the device cannot be used.
    """
    if kind_of(device) == "cpu":
        return describe(device)
    try:
        return worker.call(describe, device)
    except RuntimeError as error:
        raise UserError(f"the device cannot be used: {error}") from error


def lock_names_apart(devices: Sequence[str]) -> tuple[str, ...]:
    """Call :func:`lock_names`, of GPUs in a child process, as the caller would occupy them.

    Raises:
        UserError: a device cannot be used.
    """
    if all(kind_of(device) == "cpu" for device in devices):
        return ()
    try:
        return worker.call(lock_names, devices)
    except RuntimeError as error:
        raise UserError(f"the device cannot be used: {error}") from error


def lock_names(devices: Sequence[str]) -> tuple[str, ...]:
    """Return the names by which devices are locked, as :mod:`machine_lock` has them."""
    gpus = (device for device in devices if kind_of(device) != "cpu")
    facts = (table.kind_of(device).facts(number_of(device)) for device in gpus)
    return tuple(str(known.get("gpu_uuid")) for known in facts)


def of_case(case: Case) -> Environment:
    """Return the facts about the device of a case, apart, and the settings that a case chooses."""
    facts = describe_apart(case.device)
    if MOVES in facts:
        facts[MOVES] = process_settings.moves_every(case)
    return facts | {"cudnn_benchmark": True} if case.cudnn_benchmark else facts


def describe(device: str) -> Environment:
    """Return the facts now, flat and as JSON values. Threads and seed are in the case."""
    facts: Environment = {
        **moment({}),
        "attnbench": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cpu_id": _cpu_id(),
        "cores": os.cpu_count(),
        "cores_allowed": _cores_allowed(),
        "governor": _first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "torch": str(torch.__version__),  # a class of its own
        **{name: _version(name) for name in PACKAGES},
        **process_settings.facts(device),
    }
    return facts | table.kind_of(device).facts(number_of(device))


def moment(environment: Environment) -> Environment:
    """Return the facts that change during a run, given those that do not."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "load_average": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        **of_driver(environment),
    }


def of_driver(environment: Environment) -> Environment:
    """Return what the driver of an NVIDIA GPU reports now; nothing of other devices."""
    uuid, cuda = environment.get("gpu_uuid"), environment.get("cuda")
    return nvml.moment(uuid) if isinstance(uuid, str) and cuda else {}


def _version(package: str) -> str | None:
    with suppress(PackageNotFoundError):
        return version(package)
    return None


def _lines(path: str) -> list[str]:
    with suppress(OSError):
        return Path(path).read_text(encoding="utf-8").splitlines()
    return []


def _first_line(path: str) -> str | None:
    return next(iter(_lines(path)), None)


def _cpu() -> str:
    models = [line for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    names = (line.partition(":")[2].strip() for line in models)
    return next(names, platform.processor() or platform.machine())


IDENTITY = (
    *("vendor_id", "cpu family", "model", "stepping", "microcode", "cache size"),
    *("CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision"),
)
"""The lines of /proc/cpuinfo that tell models of one name apart: of x86, then of ARM."""


def _cpu_id() -> str | None:
    """Return what tells the CPU from others of the same name; a virtual one may show no model.

    ``vendor_id AuthenticAMD, cpu family 25, model 1, stepping 1, microcode 0xa0011d1``.
    """
    known: dict[str, str] = {}
    for line in _lines("/proc/cpuinfo"):
        name, _, value = (part.strip() for part in line.partition(":"))
        known.setdefault(name, value)  # of the first core
    return ", ".join(f"{name} {known[name]}" for name in IDENTITY if known.get(name)) or None


def _cores_allowed() -> int | None:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
