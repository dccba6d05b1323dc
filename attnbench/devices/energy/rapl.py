"""The energy of CPUs: RAPL, as Linux shows it under ``/sys/class/powercap``.

Intel's counters of running average power, which AMD's processors have too. A package is a whole
socket: every core, this program's or not, its caches and what it draws when idle. ``dram`` is the
memory behind it, where the machine counts it. The zones ``core`` and ``uncore`` lie within a
package and ``psys`` around all of them, so none is added.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from attnbench.devices.energy.counter import NoCounterError

ROOT = Path("/sys/class/powercap")

ZONE = re.compile(r"intel-rapl:(\d+)(:\d+)?")
"""A zone's folder, or that of a zone in it; ``intel-rapl-mmio`` shows the same packages again."""

ALLOW = "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj"

_MICRO = 1e-6


@dataclass
class _Zone:
    """A counter in microjoules that begins at 0 again behind ``range_uj``."""

    path: Path
    range_uj: int
    last_uj: int
    counted_uj: int = 0

    def read_j(self) -> float:
        now_uj = _number(self.path / "energy_uj")
        # Once at most: at any power it takes more than a second, and it is read ten times in one.
        wrapped = now_uj < self.last_uj
        self.counted_uj += now_uj - self.last_uj + wrapped * self.range_uj
        self.last_uj = now_uj
        return self.counted_uj * _MICRO


class RaplCounter:
    """The packages of the machine and their memory, by the names of their zones."""

    def __init__(self, zones: Mapping[str, _Zone]) -> None:
        self._zones = zones

    def read_j(self) -> dict[str, float]:
        return {domain: zone.read_j() for domain, zone in self._zones.items()}

    def power_w(self) -> float | None:
        """There is none: the power of a package is known by this counter alone."""
        return None


def open_counter(root: Path | None = None) -> RaplCounter:
    """Return the counter of this machine.

    Raises:
        NoCounterError: it has none, or only root may read it.
    """
    root = root or ROOT
    zones: dict[str, _Zone] = {}
    for path in sorted(root.glob("intel-rapl:*"), key=_numbers):
        known = ZONE.fullmatch(path.name)
        domain = _domain(path, known) if known else None
        if domain is None:
            continue
        now_uj = _number(path / "energy_uj")
        if now_uj or domain.startswith("package"):  # memory that was never counted is not counted
            zones[domain] = _Zone(path, _number(path / "max_energy_range_uj"), now_uj)
    if not any(domain.startswith("package") for domain in zones):
        raise NoCounterError(
            f"--energy: this machine shows no counter of the CPU's energy ({root} has no "
            "intel-rapl package, as in most virtual machines); leave --energy out"
        )
    return RaplCounter(zones)


def _domain(path: Path, known: re.Match[str]) -> str | None:
    """Return the name of what a zone counts: ``package-0``, ``dram-0``; None for others."""
    try:
        name = (path / "name").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    within = known[2] is not None
    if not within:
        return name if name.startswith("package") else None
    return f"dram-{known[1]}" if name == "dram" else None


def _numbers(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path.name)]


def _number(path: Path) -> int:
    try:
        return int(path.read_text(encoding="ascii"))
    except PermissionError as error:
        raise NoCounterError(
            f"--energy: only root may read {path}; run as root, or let everyone: {ALLOW}"
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it holds no number"
        raise NoCounterError(f"--energy: cannot read {path}: {reason}") from error
