"""What is found on a machine, each with its state and what to do.

Everything is read from Linux's ``/proc`` and ``/sys``; elsewhere most findings are *unknown*. No
setting is changed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from attnbench.system.doctor.activity import Activity, Machine
from attnbench.text import printable

State = Literal["good", "note", "warning", "unknown"]
"""Each is also the code of the finding, as of ``attnbench explain``."""

BUSY = 0.05
"""Share of one core from which another process is named, and steal time is a warning."""

NAMED = 3
"""The most other processes that are named."""

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_PROC_BIND", "KMP_AFFINITY")
"""Variables that set how many threads torch has, and where."""

BUSY_LOAD = 0.2
"""Load for each allowed core from which a machine is busy."""

SCATTER = 0.02
"""Scatter of a fixed computation from which a run of the default budget seldom has verdicts."""

FREE_BYTES = 2 * 2**30
"""Memory that ResNet-50 and its children need beside each other."""


@dataclass(frozen=True)
class Finding:
    """One thing that was examined; ``advice`` is what to do where it is not good."""

    what: str
    found: str
    state: State
    advice: str = ""


def examine(machine: Machine, activity: Activity) -> list[Finding]:
    """Return what was found, in the order in which it is worth mending."""
    return [
        _load(machine),
        _others(activity),
        _stolen(machine, activity),
        _scatter(activity),
        _quota(machine),
        _threads(machine),
        _governor(machine),
        _turbo(machine),
        _smt(machine),
        _power(machine),
        _memory(machine),
        _driver(machine),
    ]


def _load(machine: Machine) -> Finding:
    stated = machine.text("proc/loadavg")
    if stated is None:
        return Finding("load", "not stated by the system", "unknown")
    load = float(stated.split()[0])
    found = f"{load:g} on {machine.cores} cores (mean of the last minute)"
    if load <= BUSY_LOAD * machine.cores:
        return Finding("load", found, "good")
    return Finding("load", found, "warning", "wait until the machine is idle, or stop other work")


def _others(activity: Activity) -> Finding:
    what = "other processes"
    shares = {name: used / activity.seconds for name, used in activity.others.items()}
    busy = sorted((share, name) for name, share in shares.items() if share >= BUSY)[::-1]
    if not busy:
        return Finding(what, f"none above {BUSY:.0%} of a core", "good")
    listed = ", ".join(f"{name} ({share:.0%} of a core)" for share, name in busy[:NAMED])
    more = f" and {len(busy) - NAMED} more" if len(busy) > NAMED else ""
    return Finding(what, f"{listed}{more}", "warning", "stop them, or measure later")


def _stolen(machine: Machine, activity: Activity) -> Finding:
    what, flags = "virtual machine", machine.text("proc/cpuinfo") or ""
    if activity.stolen_s is None or not flags:
        return Finding(what, "not stated by the system", "unknown")
    if "hypervisor" not in flags.split() and not activity.stolen_s:
        return Finding(what, "no", "good")
    share = activity.stolen_s / activity.seconds / machine.cores
    found = f"yes; steal time {share:.1%} of its cores"
    if share >= BUSY:
        advice = "other guests take the host's cores: use a dedicated instance, or measure later"
        return Finding(what, found, "warning", advice)
    advice = "other guests can disturb a run at any time: look at its control and its flags"
    return Finding(what, found, "note", advice)


def _scatter(activity: Activity) -> Finding:
    what = "fixed computation"
    found = f"{len(activity.block_s)} repetitions scatter by {activity.scatter:.1%}"
    if activity.scatter <= SCATTER:
        return Finding(what, found, "good")
    advice = "expect wide intervals: quiet the machine, use --threads 1, or raise --budget"
    return Finding(what, found, "warning", advice)


def _quota(machine: Machine) -> Finding:
    what = "cores allowed"
    total = len(machine.paths("sys/devices/system/cpu/cpu[0-9]*")) or machine.cores
    found = f"{machine.cores} of {total}"
    quota, _, period = (machine.text("sys/fs/cgroup/cpu.max") or "max").partition(" ")
    if quota != "max" and int(quota) < machine.cores * int(period):
        share = int(quota) / int(period)
        advice = f"threads are stopped when the quota is used up: --threads {max(1, int(share))}"
        return Finding(what, f"{found}, quota of {share:g} cores", "warning", advice)
    return Finding(what, found, "good")


def _threads(machine: Machine) -> Finding:
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_PROC_BIND", "KMP_AFFINITY")
    stated = [
        f"{name}={machine.environment[name]}" for name in names if name in machine.environment
    ]
    if not stated:
        return Finding("threads", "no variable sets them: torch takes the physical cores", "good")
    advice = "the run's records state its threads; --threads N overrides OMP_NUM_THREADS"
    return Finding("threads", ", ".join(stated), "note", advice)


def _governor(machine: Machine) -> Finding:
    what, places = "governor", machine.paths("sys/devices/system/cpu/cpu[0-9]*/cpufreq")
    names = {machine.text(str(p.relative_to(machine.root) / "scaling_governor")) for p in places}
    governors = sorted(filter(None, names))
    if not governors:
        return Finding(what, "not stated by the system", "unknown")
    if governors == ["performance"]:
        return Finding(what, "performance", "good")
    advice = "clocks follow the load: sudo cpupower frequency-set --governor performance"
    return Finding(what, ", ".join(governors), "warning", advice)


TURBO: dict[str, tuple[str, str]] = {
    "sys/devices/system/cpu/intel_pstate/no_turbo": ("0", "1"),
    "sys/devices/system/cpu/cpufreq/boost": ("1", "0"),
}
"""File of a driver -> its value when clocks are raised, and the value that ends this."""


def _turbo(machine: Machine) -> Finding:
    for path, (on, off) in TURBO.items():
        value = machine.text(path)
        if value == on:
            advice = f"clocks follow the temperature: echo {off} | sudo tee /{path}"
            return Finding("turbo", "on", "note", advice)
        if value is not None:
            return Finding("turbo", "off", "good")
    return Finding("turbo", "not stated by the system", "unknown")


def _smt(machine: Machine) -> Finding:
    what, active = "two threads a core (SMT)", machine.text("sys/devices/system/cpu/smt/active")
    if active == "1":
        advice = "logical cores share units: --threads with at most the number of physical cores"
        return Finding(what, "on", "note", advice)
    return Finding(what, "off", "good") if active else Finding(what, "not stated", "unknown")


def _power(machine: Machine) -> Finding:
    batteries = [
        machine.text(str(path.relative_to(machine.root)))
        for path in machine.paths("sys/class/power_supply/*/status")
    ]
    if "Discharging" in batteries:
        return Finding("power", "on battery", "warning", "connect it: clocks are lower on battery")
    return Finding("power", "on mains" if batteries else "no battery", "good")


def _memory(machine: Machine) -> Finding:
    lines = (machine.text("proc/meminfo") or "").splitlines()
    kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    if "MemAvailable" not in kib:
        return Finding("memory", "not stated by the system", "unknown")
    free = kib["MemAvailable"] * 1024
    found = f"{free / 2**30:.1f} GiB available"
    if free >= FREE_BYTES:
        return Finding("memory", found, "good")
    advice = f"less than {FREE_BYTES / 2**30:g} GiB: a run may be killed or wait for the disk"
    return Finding("memory", found, "warning", advice)


def _driver(machine: Machine) -> Finding:
    version = (machine.text("proc/driver/nvidia/version") or "").partition("\n")[0]
    if not version:
        return Finding("NVIDIA driver", "none found", "note", "--device cuda cannot be used")
    number = re.search(r"\d+(\.\d+)+", version)
    return Finding("NVIDIA driver", number[0] if number else printable(version), "good")
