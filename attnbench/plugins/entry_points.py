"""Modules that installed packages offer: entry points in the group ``attnbench.modules``.

The table's names and those that records use go first: an entry point cannot take them.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from attnbench.modules import ATTENTION, SettingsError
from attnbench.records.variants import RESERVED

GROUP = "attnbench.modules"


def offered() -> tuple[EntryPoint, ...]:
    """The entry points of the group whose names are free, by name; none of them is loaded."""
    return tuple(entry for entry in _all() if not is_taken(entry.name))


def in_vain() -> tuple[EntryPoint, ...]:
    """Those whose names are taken: nobody can ask for them."""
    return tuple(entry for entry in _all() if is_taken(entry.name))


def _all() -> list[EntryPoint]:
    return sorted(entry_points(group=GROUP), key=lambda entry: entry.name)


def find(name: str) -> EntryPoint | None:
    """The one of that name, or None.

    Raises:
        SettingsError: several packages offer that name.
    """
    found = [entry for entry in offered() if entry.name == name]
    if len(found) > 1:
        raise SettingsError(f"several packages offer '{name}': {', '.join(map(origin, found))}")
    return found[0] if found else None


def load(entry: EntryPoint) -> object:
    """What the entry point names; the package's code is run.

    Raises:
        SettingsError: it cannot be loaded.
    """
    try:
        return entry.load()
    except (Exception, SystemExit) as error:
        raise SettingsError(f"{entry.name}: {origin(entry)} cannot be loaded: {error!r}") from error


def origin(entry: EntryPoint) -> str:
    """Package, version and place: ``nets 0.3 (nets.gates:Gate)``."""
    package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown package"
    return f"{package} ({entry.value})"


def is_taken(name: str) -> bool:
    """Whether an installed package that offers a module of this name offers it in vain."""
    return name in ATTENTION or name in RESERVED
