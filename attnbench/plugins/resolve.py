"""A module by the name that its user gives it: of the table, a file's, a package's or timm's.

    sa                          a row of the table
    path/to/file.py:ClassName   a class in a file, built with ``channels``
    timm:eca                    what timm's factory makes
    name                        an entry point in the group ``attnbench.modules``

Each may be followed by ``,site=...`` and by settings, ``,key=value``. The name as it was given is
the variant's name in the records, so that every process finds the module again by its name alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from functools import partial
from pathlib import Path

from attnbench.modules import ATTENTION, AttentionSpec, SettingsError, Site
from attnbench.plugins import entry_points, python_file, timm
from attnbench.plugins.spec import Spec, parse
from attnbench.records.variants import RESERVED

__all__ = ["HERE", "hint", "is_custom", "lookup", "origins", "require_known"]

HERE = Path()


def is_custom(name: str) -> bool:
    """Whether it is anything but a row of the table as it stands there."""
    return name not in ATTENTION


def require_known(name: str) -> None:
    """Refuse a name that stands for no place where a module could be; nothing is loaded.

    Raises:
        SettingsError: it is not known, or the records use it for something else.
    """
    if not is_custom(name):
        return
    source = parse(name).source
    if source in RESERVED:
        raise SettingsError(f"no module can have the name '{source}': records use it for another")
    if source in ATTENTION or source.startswith(timm.PREFIX) or python_file.names_one(source):
        return
    if entry_points.find(source) is None:
        known = ", ".join([*ATTENTION, *(entry.name for entry in entry_points.offered())])
        raise SettingsError(
            f"unknown attention module '{source}'; known: {known}; or file.py:ClassName, "
            "or timm:NAME"
        )


def lookup(name: str, folder: Path = HERE) -> AttentionSpec:
    """The module of that name, ready to be put into a host; what is not in the table is loaded.

    Paths are relative to ``folder``. What its code prints goes to stderr.

    Raises:
        SettingsError: there is none, it cannot be loaded, or loading it changes the state of
            torch; the message says why.
    """
    require_known(name)
    if not is_custom(name):
        return ATTENTION[name]
    spec = parse(name)
    if spec.source in ATTENTION:
        return _adapted(ATTENTION[spec.source], spec, name)
    with _loading(spec.source):
        row = _row(spec.source, folder)
    return _adapted(row, spec, name)


def hint(name: str) -> str:
    """What may help where the module of that name is refused: a sentence, or nothing."""
    source = parse(name).source
    return timm.hint(source) if source.startswith(timm.PREFIX) else ""


def origins(names: Iterable[str]) -> dict[str, str]:
    """For each module that comes from elsewhere, what tells its code from another's of that name.

    Raises:
        SettingsError: one of them is not there any more.
    """
    found = {name: _origin(parse(name).source) for name in names if is_custom(name)}
    return {name: origin for name, origin in found.items() if origin is not None}


@contextmanager
def _loading(source: str) -> Iterator[None]:
    """Somebody's code may run: on the CPU, even where a network is built on another device."""
    from torch import device

    from attnbench.plugins.torch_state import undisturbed

    with redirect_stdout(sys.stderr), device("cpu"), undisturbed(f"{source}: loading it"):
        yield


def _row(source: str, folder: Path) -> AttentionSpec:
    if source.startswith(timm.PREFIX):
        return timm.row(source)
    if python_file.names_one(source):
        return _as_row(python_file.load(source, folder), source)
    entry = entry_points.find(source)
    assert entry is not None  # the name is known
    return _as_row(entry_points.load(entry), source)


def _origin(source: str) -> str | None:
    if source.startswith(timm.PREFIX):
        return timm.origin()
    if python_file.names_one(source):
        return python_file.origin(source, HERE)
    entry = entry_points.find(source)
    return None if entry is None else entry_points.origin(entry)


def _as_row(target: object, source: str) -> AttentionSpec:
    """A row as it is, or one for a class that takes ``channels``."""
    if isinstance(target, AttentionSpec):
        return target
    if not callable(target):
        raise SettingsError(f"{source} is neither a class that takes channels nor an AttentionSpec")
    title = getattr(target, "__name__", source)
    return AttentionSpec(source, title, arxiv="", site=Site.AFTER_BN3, build=target)


def _adapted(row: AttentionSpec, spec: Spec, name: str) -> AttentionSpec:
    """The row under the user's name; what they state goes before what was published."""
    published = {
        host: {key: values for key, values in settings.items() if key not in spec.settings}
        for host, settings in row.published.items()
    }
    return replace(
        row,
        name=name,
        site=spec.site or row.site,
        build=partial(row.build, **spec.settings),
        published=published,
        added_params={},
    )
