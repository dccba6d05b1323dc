"""The positions of a host that carry the module, by a choice; or why there are none."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace

from torch import nn

from attnbench.hosts.placement.choice import Choice
from attnbench.hosts.placement.insert import insert
from attnbench.hosts.placement.position import NoPositionError, Position
from attnbench.hosts.placement.squeeze_excite import squeeze_excite
from attnbench.hosts.placement.survey import Survey, returned
from attnbench.modules import SettingsError
from attnbench.records.options import site_patterns
from attnbench.text import near

PLACES = "'attnbench places --host {host}' lists what is there"


def chosen(host: str, known: Survey, choice: Choice) -> tuple[Position, ...]:
    """Return the positions of a choice in the order in which they run.

    Raises:
        SettingsError: there are none, or a chosen module returns no map; the message says why and
            what would do.
    """
    if choice.replace:
        every = _squeeze_excite(host, known)
    else:
        every = _patterns(host, known, choice.at) if choice.at else _residual(host, known)
    of_stages = [where for where in every if where.stage in choice.stages]
    if not of_stages:
        stages = ", ".join(map(str, sorted({where.stage for where in every})))
        raise SettingsError(
            f"{host}: none of the {len(every)} sites is in the stages asked for; "
            f"they are in {stages}"
        )
    if choice.blocks == "last":
        last = {where.stage: where for where in of_stages}
        of_stages = [where for where in of_stages if last[where.stage] == where]
    return tuple(of_stages)


def _residual(host: str, known: Survey) -> list[Position]:
    """Return the ends of the residual branches, where the papers put their modules."""
    if known.graph is None:
        raise SettingsError(
            f"{host} cannot be traced, so its residual additions are not known "
            f"({known.without_data}); {_at(known)}, which works all the same. "
            f"{PLACES.format(host=host)}"
        )
    found = []
    for addition in known.additions:
        if not addition.site:
            continue
        try:
            where = replace(known.position(addition.site), before=addition.before)
            found.append(replace(where, block=_block(known, addition.module, where)))
        except NoPositionError as error:
            raise SettingsError(
                f"{host}: no module can stand behind {addition.site}, where a residual branch "
                f"ends: {error}; {_at(known)}. {PLACES.format(host=host)}"
            ) from error
    if not found:
        why = dict.fromkeys(addition.refused for addition in known.additions)
        refused = f" (additions: {len(known.additions)}, refused: {'; '.join(why)})" if why else ""
        raise SettingsError(
            f"{host} has no residual addition that a module could stand before{refused}; "
            f"{_at(known)}. {PLACES.format(host=host)}"
        )
    return found


def _block(known: Survey, path: str, site: Position) -> str:
    """Return the path of a block that adds, if it returns maps of that shape; else nothing."""
    try:
        return path if path and known.position(path).shape == site.shape else ""
    except NoPositionError:
        return ""


def _at(known: Survey) -> str:
    example = known.example()
    return "say where with --at" + (f", such as --at '{example}'" if example else "")


def _patterns(host: str, known: Survey, at: str) -> list[Position]:
    patterns = site_patterns.parse(at)
    only_excludes = all(pattern.excludes for pattern in patterns)
    default = {where.site: where for where in _residual(host, known)} if only_excludes else {}
    paths = site_patterns.chosen(patterns, known.kinds, default)
    adding = [pattern for pattern in patterns if not pattern.excludes]
    for pattern in patterns:
        if not any(pattern.matches(path, kind) for path, kind in known.kinds.items()):
            alike = [path for path in known.kinds if path]
            kinds = {f"{path}@{kind}" for path, kind in known.kinds.items() if path}
            hint = near(str(pattern), sorted(kinds) if pattern.kind else alike)
            raise SettingsError(
                f"at: no module of {host} matches '{pattern}'{hint}; * does not cross a dot. "
                f"{PLACES.format(host=host)}"
            )
    if not paths:
        raise SettingsError(f"at: '{at}' leaves no module of {host}")
    if not adding:
        return [default[path] for path in known.in_order(paths)]
    found = []
    for path in known.in_order(paths):
        try:
            found.append(known.position(path))
        except NoPositionError as error:
            raise SettingsError(
                f"at: no module can stand behind {path} ({known.kinds[path]}) of {host}: {error}; "
                f"leave it out with '!{path}'"
            ) from error
    return found


def _squeeze_excite(host: str, known: Survey) -> list[Position]:
    if known.graph is None:
        raise SettingsError(
            f"{host} cannot be traced, so its squeeze-excite modules are not known "
            f"({known.without_data})"
        )
    found = [replace(known.position(path), replaces=True) for path in squeeze_excite(known.graph)]
    if not found:
        raise SettingsError(
            f"{host} has no squeeze-excite modules to replace; mobilenet_v3_large, the "
            "efficientnet and the regnet_y hosts have some"
        )
    return found


def require_called_once(
    network: nn.Module, known: Survey, where: Sequence[Position], host: str
) -> None:
    """Check that each position's module is called once in a forward: a block may call its children.

    Raises:
        SettingsError: one is not.
    """
    copy = deepcopy(network)
    paths = insert(copy, where, lambda _: nn.Identity())
    calls = returned(copy, (1, 3, *known.size), known.without_data)
    for path, position in zip(paths, where, strict=True):
        if (times := len(calls.get(path, []))) != 1:
            raise SettingsError(
                f"{host}: a module put behind {position.site} would be called {times} times, as "
                f"its block calls all that it holds; choose another place with --at"
            )
