"""Find a module by the name its user gives it: a row of the table, a file's, a package's, timm's.

    sa                          a row of the table
    path/to/file.py:ClassName   a class in a file, built with ``channels``
    timm:eca                    a layer of timm's factory
    name                        an entry point in the group ``attnbench.modules``

Each may be followed by ``,site=...`` and by settings, ``,key=value``. The name as given is the
variant's name in the records, so that every process can find the module again by it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from attnbench.modules import ATTENTION, AttentionSpec, SettingsError, Site
from attnbench.plugins import entry_points, python_file, timm
from attnbench.plugins.spec import Spec, parse_spec
from attnbench.records.variants import RESERVED


@dataclass(frozen=True)
class ModuleReference:
    """A module as its user named it, known to the table or to a plugin; nothing is loaded yet."""

    name: str
    spec: Spec
    folder: Path
    """Where the path of a file starts, if it is relative."""

    @property
    def is_custom(self) -> bool:
        """Whether it is anything but an unchanged row of the table."""
        return self.name not in ATTENTION

    def origin(self) -> str | None:
        """Return what identifies its code: a digest or a version; None for one of the table.

        Raises:
            SettingsError: the file or package does not exist any more.
        """
        source = self.spec.source
        if source in ATTENTION:
            return None
        if source.startswith(timm.PREFIX):
            return timm.origin()
        if python_file.is_in_file(source):
            return python_file.origin(source, self.folder)
        return entry_points.origin(entry_points.get(source))

    def load(self) -> AttentionSpec:
        """Return the row that a host is built with; custom code is run, and prints to stderr.

        Raises:
            SettingsError: it cannot be loaded, or loading it changes the state of torch.
        """
        if not self.is_custom:
            return ATTENTION[self.name]
        stated = self.spec.settings  # they override the published ones
        row = ATTENTION.get(self.spec.source) or self._row()
        return replace(
            row,
            name=self.name,
            site=self.spec.site or row.site,
            build=partial(row.build, **stated),
            published={
                host: {key: values for key, values in settings.items() if key not in stated}
                for host, settings in row.published.items()
            },
            added_params={},
        )

    def hint(self) -> str:
        """Return a sentence that may help where the module is refused, or nothing."""
        source = self.spec.source
        return timm.hint(source) if source.startswith(timm.PREFIX) else ""

    def _row(self) -> AttentionSpec:
        """Run custom code on the CPU, even while a network is built on another device."""
        from torch import device

        from attnbench.plugins.integrity import require_unchanged

        source = self.spec.source
        with redirect_stdout(sys.stderr), device("cpu"), require_unchanged(f"{source}: loading it"):
            if source.startswith(timm.PREFIX):
                return timm.row(source)
            if python_file.is_in_file(source):
                return _as_row(python_file.load(source, self.folder), source)
            return _as_row(entry_points.load(entry_points.get(source)), source)


def parse(name: str, folder: Path = Path()) -> ModuleReference:
    """Return the module of that name; paths are relative to ``folder``. Nothing is loaded.

    Raises:
        SettingsError: the name is unknown, malformed, or reserved by the records.
    """
    if name in ATTENTION:
        return ModuleReference(name, Spec(name), folder)
    spec = parse_spec(name)
    source = spec.source
    if source in RESERVED:
        raise SettingsError(f"no module can have the name '{source}': records use it")
    plugin = source.startswith(timm.PREFIX) or python_file.is_in_file(source)
    if source not in ATTENTION and not plugin:
        entry_points.get(source)
    return ModuleReference(name, spec, folder)


def origins(modules: Iterable[ModuleReference]) -> dict[str, str]:
    """Return :meth:`ModuleReference.origin` by name, of those that have one."""
    return {module.name: origin for module in modules if (origin := module.origin()) is not None}


def _as_row(target: object, source: str) -> AttentionSpec:
    """Return a row as it is, or one for a class that takes ``channels``."""
    if isinstance(target, AttentionSpec):
        return target
    if not callable(target):
        raise SettingsError(f"{source} is neither a class that takes channels nor an AttentionSpec")
    title = getattr(target, "__name__", source)
    return AttentionSpec(source, title, arxiv="", site=Site.AFTER_BN3, build=target)
