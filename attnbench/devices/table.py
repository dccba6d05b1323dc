"""The table of devices, by the names that torch has for them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from attnbench.devices import cpu, cuda, mps, xpu
from attnbench.devices.clocks import Clock
from attnbench.devices.kind import Kind
from attnbench.errors import UserError
from attnbench.records import device as names

KINDS = {kind.name: kind for kind in (cpu.KIND, cuda.KIND, xpu.KIND, mps.KIND)}


def kind_of(device: str) -> Kind:
    """Return the row of a device: that of ``cuda`` for ``cuda:1``."""
    return KINDS[names.kind_of(device)]


def clock_for(device: str) -> Clock:
    """Return the clock for work on a device."""
    return kind_of(device).clock()


def select(device: str) -> None:
    """Make a device the current one of this process; the first of its kind is so already."""
    if number := names.number_of(device):
        kind_of(device).select(number)


def automatic() -> str:
    """Return the device that is taken where none is named: the first accelerator, else the CPU."""
    accelerators = (name for name, kind in KINDS.items() if name != "cpu" and kind.count())
    return next(accelerators, "cpu")


def fault(device: str) -> str | None:
    """Return why torch cannot use a device here, or None where it can."""
    kind, number = kind_of(device), names.number_of(device)
    count = kind.count()
    if not count:
        return f"no {kind.title} device is available to torch; use --device cpu"
    if number >= count:
        known = ", ".join(f"{kind.name}:{known}" for known in range(count))
        return f"there is no {device}: torch sees {known}"
    return None


def chosen(device: str | None, lacking: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return the device that is asked for, or the one that is taken where None is.

    ``lacking``: why the work cannot be done on kinds of devices, of which none is then taken.

    Raises:
        UserError: torch cannot use it here, or it lacks what the work needs.
    """
    first = automatic()
    device = device or ("cpu" if first in lacking else first)
    if why := lacking.get(names.kind_of(device)):
        raise UserError(f"{why}; use --device cpu")
    if (why := fault(device)) is not None:
        raise UserError(why)
    return device
