"""Hold the limits of a file against the code, each custom module in a child process."""

from __future__ import annotations

from collections.abc import Sequence

from attnbench.claims.limits.file import Limit
from attnbench.claims.limits.placed import Placement, host_of, outcome
from attnbench.claims.outcome import Outcome, refusal
from attnbench.errors import UserError
from attnbench.modules import SettingsError
from attnbench.plugins import host_reference
from attnbench.plugins.resolve import ModuleReference, parse
from attnbench.runtimes.table import require_installed
from attnbench.stats.verdicts import reasons
from attnbench.system import worker


def check(limits: Sequence[Limit], placement: Placement | None = None) -> list[Outcome]:
    """Hold every limit against the code, for one image.

    Each custom module is loaded, checked and counted in a child process, which it may end. Where
    one is refused, its limits do not hold, and those of the others are checked all the same.

    Raises:
        UserError: a line names an unknown module or host, or a file that is not there.
    """
    where = placement or Placement()
    outcomes: dict[Limit, Outcome] = {}
    groups: dict[tuple[str, ...], tuple[ModuleReference, list[Limit]]] = {}
    for limit in limits:
        try:
            module = parse(limit.module, limit.folder)
            module.origin()
        except SettingsError as error:
            raise UserError(f"{limit.where}: {error}") from error
        foreign = module.is_custom or _is_foreign(limit)
        key: tuple[str, ...] = (limit.module, limit.host) if foreign else ("", "")
        if limit.runtime:
            require_installed(limit.runtime)
            key = (limit.module, limit.host, limit.runtime)
        groups.setdefault(key, (module, []))[1].append(limit)
    for module, group in groups.values():
        outcomes |= zip(group, _compared(module, group, where), strict=True)
    return [outcomes[limit] for limit in limits]


def _compared(module: ModuleReference, group: Sequence[Limit], where: Placement) -> list[Outcome]:
    """Hold limits of one module, or of the suite's own, against the code."""
    from attnbench.claims.limits import counted, executed  # and torch
    from attnbench.hosts import check_module

    compare = executed.compared if group[0].runtime else counted.compared
    if module.is_custom:
        try:
            return check_module.in_subprocess(compare, module, group, where)
        except UserError as error:
            return [_refused(limit, group, str(error)) for limit in group]
    if _is_foreign(group[0]):
        place = group[0].where
        return check_module.in_subprocess(compare, module, group, where, where=place)
    if group[0].runtime:
        return worker.call(compare, module, group, where)
    return compare(module, group, where)


def _refused(limit: Limit, group: Sequence[Limit], why: str) -> Outcome:
    """Return that a limit does not hold, as its module is refused."""
    for other in group:  # the error may begin with the line that was tried
        why = why.removeprefix(f"{other.where}: ")
    return outcome(limit, None, refusal(limit.module, why), reasons.REFUSED)


def _is_foreign(limit: Limit) -> bool:
    """Return whether code of another party builds the host.

    Raises:
        UserError: the host is unknown.
    """
    try:
        return host_reference.is_custom(host_of(limit))
    except SettingsError as error:
        raise UserError(f"{limit.where}: {error}") from error
