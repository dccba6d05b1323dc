"""Modules that installed packages offer: entry points in the group ``attnbench.modules``.

The names of the table and of the records are reserved: an entry point cannot take them.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from attnbench.modules import ATTENTION, SettingsError
from attnbench.plugins import foreign
from attnbench.records.variants import RESERVED
from attnbench.text import error_line, unknown

GROUP = "attnbench.modules"


def offered() -> tuple[EntryPoint, ...]:
    """Return the entry points of the group whose names are free, by name; none is loaded."""
    return tuple(entry for entry in _all() if entry.name not in {*ATTENTION, *RESERVED})


def shadowed() -> tuple[EntryPoint, ...]:
    """Return those that cannot be selected: the table or the records have their names."""
    return tuple(entry for entry in _all() if entry.name in {*ATTENTION, *RESERVED})


def _all() -> list[EntryPoint]:
    return sorted(entry_points(group=GROUP), key=lambda entry: entry.name)


def get(name: str) -> EntryPoint:
    """Return the entry point of that name.

    Raises:
        SettingsError: no package offers that name, or several do.
    """
    known = offered()
    named = [entry for entry in known if entry.name == name]
    if len(named) > 1:
        raise SettingsError(f"several packages offer '{name}': {', '.join(map(origin, named))}")
    if not named:
        names = [*ATTENTION, *(entry.name for entry in known)]
        more = "; or file.py:ClassName, or timm:NAME"
        raise SettingsError(unknown("attention module", name, names, more))
    return named[0]


def load(entry: EntryPoint) -> object:
    """Return the object that the entry point names; the package's code is run.

    Raises:
        SettingsError: it cannot be loaded.
    """
    try:
        return entry.load()
    except foreign.RAISED as error:
        message = error_line(error)
        raise SettingsError(f"{entry.name}: {origin(entry)} cannot be loaded: {message}") from error


def origin(entry: EntryPoint) -> str:
    """Return package, version and object: ``nets 0.3 (nets.gates:Gate)``."""
    package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown package"
    return f"{package} ({entry.value})"
