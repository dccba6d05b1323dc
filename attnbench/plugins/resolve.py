"""Find a module by the name its user gives it: a row of the table, a file's, a package's, timm's.

    sa                          a row of the table
    path/to/file.py:ClassName   a class or function in a file
    package.module:ClassName    the same, imported from an import root
    timm:eca                    a layer of timm's factory
    name                        an entry point in the group ``attnbench.modules``

Each may be followed by ``,site=...`` and by settings, ``,key=value``; a class also by
``,channels=NAME``, the parameter that takes the number of channels, and a custom module by how it
is called: ``,layout=tokens``, ``,inputs=3``, ``,take=0``. ``package.module:Class`` is imported
from a folder that ``,import_root=DIR`` names. The name as given is the variant's name in the
records, so that every process can find the module again by it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from attnbench.modules import ATTENTION, AttentionSpec, SettingsError, Site
from attnbench.plugins import entry_points, foreign, python_file, timm
from attnbench.plugins.constructor import (
    Constructor,
    constructor,
    require_no_parameter,
    require_takes_channels,
)
from attnbench.plugins.spec import CHANNELS, IMPORTED, Spec, facts_of, filled, parse_spec
from attnbench.records.variants import RESERVED
from attnbench.text import error_line


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
        if self.spec.is_code:
            return python_file.origin(source, self.folder, self.spec.import_root)
        return entry_points.origin(entry_points.get(source))

    def load(self) -> AttentionSpec:
        """Return the row that a host is built with; custom code is run, and prints to stderr.

        Raises:
            SettingsError: it cannot be loaded, or loading it changes the state of torch.
        """
        if not self.is_custom:
            return ATTENTION[self.name]
        stated = self.spec.settings  # they override the published ones
        if self.spec.source in ATTENTION:
            _require_unnamed(self.spec)
            _require_unadapted(self.spec)
        row = ATTENTION.get(self.spec.source) or self._row()
        build: Callable[..., Any] = partial(row.build, **stated)
        facts = facts_of(stated)
        if facts:
            taken = {*row.place, *(() if isinstance(row.build, Constructor) else ("stride",))}
            build = partial(_built_for_the_map, row.build, stated, facts, facts - taken)
        if self.spec.adapter.stated:
            from attnbench.plugins.adapter import adapted

            build = partial(adapted, build, self.spec.adapter)
        if self.spec.source not in ATTENTION:
            build = partial(_built_anywhere, build)
        return replace(
            row,
            name=self.name,
            site=self.spec.site or row.site,
            build=build,
            published={
                host: {key: values for key, values in settings.items() if key not in stated}
                for host, settings in row.published.items()
            },
            added_params={},
            place=tuple(dict.fromkeys((*row.place, *sorted(facts & {"height", "width"})))),
        )

    def hint(self) -> str:
        """Return a sentence that may help where the module is refused, or nothing."""
        source = self.spec.source
        return timm.hint(source) if source.startswith(timm.PREFIX) else ""

    def _row(self) -> AttentionSpec:
        """Run custom code on the CPU, even while a network is built on another device."""
        from torch import device

        from attnbench.plugins.watch.integrity import require_unchanged

        source = self.spec.source
        unchanged = require_unchanged(f"{source}: loading it")
        with redirect_stdout(sys.stderr), device("cpu"):
            try:
                with unchanged:
                    target = self._target()
                return _as_row(target, self.spec)
            except SettingsError:
                raise
            except foreign.RAISED as error:  # of an object that answers no question
                message = error_line(error)
                raise SettingsError(f"{source} cannot be loaded: {message}") from error

    def _target(self) -> object:
        source = self.spec.source
        if source.startswith(timm.PREFIX):
            return timm.row(source)
        if self.spec.is_code:
            return python_file.load(source, self.folder, self.spec.import_root)
        return entry_points.load(entry_points.get(source))


def parse(name: str, folder: Path = Path()) -> ModuleReference:
    """Return the module of that name; paths are relative to ``folder``. Nothing is loaded.

    Raises:
        SettingsError: the name is unknown, malformed, or reserved by the records.
    """
    name = written(name)
    if name in ATTENTION:
        return ModuleReference(name, Spec(name), folder)
    spec = parse_spec(name)
    source = spec.source
    if source in RESERVED:
        raise SettingsError(f"no module can have the name '{source}': records use it")
    plugin = source.startswith(timm.PREFIX) or spec.is_code
    if source not in ATTENTION and not plugin:
        if IMPORTED.fullmatch(source):
            raise SettingsError(_without_root(source))
        entry_points.get(source)
    return ModuleReference(name, spec, folder)


def _without_root(source: str) -> str:
    dotted, _, target = source.partition(":")
    top = dotted.partition(".")[0]
    return (
        f"'{source}' is imported from a folder that has to be named: --import-root DIR, or "
        f"'{source},import_root=DIR', where DIR holds {top}; of an installed package, write a file "
        f"that holds 'from {dotted} import {target}', and name FILE.py:{target}"
    )


def written(name: str) -> str:
    """Return the name with its source in the source's own case: ``SA,groups=8`` as ``sa,groups=8``.

    Files, settings and names that are not known stay as they are. The exact name of an entry point
    comes before a name of the table in another case.
    """
    source, comma, settings = name.strip().partition(",")
    lower = source.strip().lower()
    if source in ATTENTION:
        return name.strip()
    if lower.startswith(timm.PREFIX):
        return f"{lower}{comma}{settings}"
    if ".py:" in source:
        return name.strip()
    offered = [entry.name for entry in entry_points.offered()]
    if source not in offered:
        alike = [known for known in (*ATTENTION, *offered) if known.lower() == lower]
        source = alike[0] if len(alike) == 1 else source
    return f"{source}{comma}{settings}"


def origins(modules: Iterable[ModuleReference]) -> dict[str, str]:
    """Return :meth:`ModuleReference.origin` by name, of those that have one."""
    return {module.name: origin for module in modules if (origin := module.origin()) is not None}


def _as_row(target: object, spec: Spec) -> AttentionSpec:
    """Return a row as it is, or one for a class or function that builds a module."""
    from torch import nn

    source = spec.source
    if isinstance(target, AttentionSpec):
        _require_unnamed(spec)
        if not source.startswith(timm.PREFIX):
            require_takes_channels(target.build, source)
        return target
    if isinstance(target, nn.Module) or not callable(target):
        kind = type(target).__name__
        raise SettingsError(
            f"{source} is neither a class that takes channels nor an AttentionSpec, but a {kind}"
        )
    site = spec.site or Site.AFTER_BN3
    gives_stride = site is Site.REPLACE_CONV2 and "stride" not in facts_of(spec.settings)
    by_host = ("stride",) if gives_stride else ()
    require_no_parameter(target, source, spec.adapter.stated)
    build = constructor(target, source, spec.channels, spec.settings, by_host)
    title = str(getattr(target, "__name__", source))
    return AttentionSpec(source, title, arxiv="", site=site, build=build)


def _require_unnamed(spec: Spec) -> None:
    if spec.channels is not None:
        raise SettingsError(
            f"'{spec.source},channels={spec.channels}': only a class or function has a parameter "
            f"to name; {spec.source} is built with the number of channels as it is"
        )


def _require_unadapted(spec: Spec) -> None:
    if spec.adapter.stated:
        raise SettingsError(
            f"{spec.source} takes and returns one map (B, C, H, W): layout, inputs and take are "
            "for custom modules"
        )


def _built_for_the_map(
    build: Callable[..., Any],
    stated: Mapping[str, Any],
    facts: Collection[str],
    not_taken: Collection[str],
    channels: int,
    /,
    **settings: Any,
) -> Any:
    """Build with the settings that follow from the map, of which hosts pass all but channels.

    ``not_taken`` are those of the facts that ``build`` itself does not take.
    """
    place = {CHANNELS.fact: channels, "stride": 1}
    place |= {name: settings[name] for name in facts if name in settings}
    known = {key: filled(value, place) for key, value in stated.items()}
    passed = {name: value for name, value in settings.items() if name not in not_taken}
    return build(channels, **known | passed)


def _built_anywhere(build: Callable[..., Any], channels: int, /, **settings: Any) -> Any:
    """Build a module; where its constructor reads numbers, which meta has none of, with data.

    So do orthogonal weights, and rates of dropping paths by ``torch.linspace(...).tolist()``.
    """
    import torch

    # Of ``with torch.device("meta")`` get_default_device says nothing in older torch.
    if torch.empty(0).device.type != "meta":
        return build(channels, **settings)
    try:
        return build(channels, **settings)
    except foreign.RAISED:
        with torch.device("cpu"):
            made = build(channels, **settings)
        return made.to("meta") if isinstance(made, torch.nn.Module) else made
