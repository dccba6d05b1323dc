"""Modules that installed packages offer: entry points in the group ``attnbench.modules``."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from attnbench.modules import SettingsError

GROUP = "attnbench.modules"


def offered() -> tuple[EntryPoint, ...]:
    """Every entry point of the group, by name; none of them is loaded."""
    return tuple(sorted(entry_points(group=GROUP), key=lambda entry: entry.name))


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
