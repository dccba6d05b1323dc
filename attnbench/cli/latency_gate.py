"""Limits of latency for ``attnbench check``: judged by finished runs, or by runs made now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from attnbench import formatting
from attnbench.analysis import latency_limits
from attnbench.claims.limits.latency import LatencyLimit
from attnbench.claims.outcome import Outcome, refusal
from attnbench.cli import output
from attnbench.cli.run import forecast
from attnbench.cli.run.bar import Bar
from attnbench.errors import UserError
from attnbench.modules import SettingsError
from attnbench.plugins.host_reference import HostReference, parse_host
from attnbench.plugins.spec import is_in_file
from attnbench.records.case import RunOptions
from attnbench.records.run import Run
from attnbench.stats.verdicts import reasons

if TYPE_CHECKING:
    from attnbench.measuring.events import Event, Planned, Waiting
    from attnbench.plugins.resolve import ModuleReference


def check(
    limits: Sequence[LatencyLimit], runs: Path | None, scatter: float | None = None
) -> list[list[Outcome]]:
    """Judge limits by the runs in a folder; without one, first make a run for each host.

    Returns the outcomes of each limit, one for every configuration of the runs that has it.

    Raises:
        UserError: an unknown module or host, or runs without it or with other code of it.
    """
    modules = {limit.module: _parsed(limit) for limit in limits}
    hosts = {limit.host: _parsed_host(limit) for limit in limits}
    origins = {name: _origin(known) for name, known in (modules | hosts).items()}
    start = perf_counter()
    if runs is not None:
        return _shared(latency_limits.check(runs, limits, origins, scatter), start)
    outcomes: dict[LatencyLimit, list[Outcome]] = {}
    for host in dict.fromkeys(limit.host for limit in limits):
        wanted = list(dict.fromkeys(limit for limit in limits if limit.host == host))
        names = dict.fromkeys(_from_here(modules[limit.module]) for limit in wanted)
        start = perf_counter()
        folder, left_out = _measured(tuple(names), _host_from_here(hosts[host]))
        timed = []
        for limit in wanted:
            name = _from_here(modules[limit.module])
            if name not in left_out:
                timed.append(limit)
            elif not modules[limit.module].is_custom:  # the file asks for what cannot be
                raise UserError(f"{limit.where}: {left_out[name]}")
            else:
                outcomes[limit] = [_refused(limit, refusal(name, left_out[name]))]
        judged = latency_limits.check(folder, timed, origins, scatter) if timed else []
        for limit, rows in zip(timed, _shared(judged, start), strict=True):
            outcomes[limit] = rows
    return [outcomes[limit] for limit in limits]


def _shared(judged: Sequence[Sequence[Outcome]], start: float) -> list[list[Outcome]]:
    """Return the outcomes with equal shares of the seconds since ``start``: a run is of all."""
    seconds = (perf_counter() - start) / max(sum(map(len, judged)), 1)
    return [[replace(row, seconds=seconds) for row in rows] for rows in judged]


def _refused(limit: LatencyLimit, verdict: str) -> Outcome:
    return Outcome(
        kind="limit",
        name=limit.where,
        subject=f"{limit.module} in {limit.host}: {limit.quantity}",
        stated=limit.most,
        computed=None,
        unit=limit.unit,
        stated_text=limit.written,
        computed_text="none",
        rule="not timed",
        verdict=verdict,
        code=reasons.REFUSED,
        expected="within",
        holds=False,
        file=str(limit.file),
        line=limit.line,
    )


def _parsed(limit: LatencyLimit) -> ModuleReference:
    from attnbench.plugins.resolve import parse

    try:
        return parse(limit.module, limit.file.parent)
    except SettingsError as error:
        raise UserError(f"{limit.where}: {error}") from error


def _parsed_host(limit: LatencyLimit) -> HostReference:
    try:
        return parse_host(limit.host, limit.file.parent)
    except SettingsError as error:
        raise UserError(f"{limit.where}: {error}") from error


def _origin(known: ModuleReference | HostReference) -> str | None:
    try:
        return known.origin if isinstance(known, HostReference) else known.origin()
    except SettingsError as error:
        raise UserError(str(error)) from error


def _host_from_here(host: HostReference) -> str:
    """Return the name by which ``run`` finds the host."""
    if not is_in_file(host.name) or host.name.startswith("~"):
        return host.name
    return str(host.folder / host.name)


def _from_here(module: ModuleReference) -> str:
    """Return the name by which ``run`` finds the module: paths relative to the working folder."""

    name, root = module.name, module.spec.import_root
    if root is not None and not root.startswith("~"):
        name = name.replace(f"import_root={root}", f"import_root={module.folder / root}")
    if not is_in_file(module.spec.source) or name.startswith("~"):
        return name
    path, _, rest = name.partition(".py:")
    return f"{module.folder / path}.py:{rest}"


def _measured(modules: tuple[str, ...], host: str) -> tuple[Path, Mapping[str, str]]:
    """Time the modules in a host with the defaults of ``run``.

    Returns the folder of the records, of no meaning where all are refused; and why modules were
    left out.
    """
    from attnbench import measuring
    from attnbench.measuring.planning import NoModuleError

    output.complain(f"timing {', '.join(modules)} in {host} for the limits of latency")
    bar = Bar(output.console(stderr=True))
    try:
        with closing(bar):
            wanted = RunOptions(modules=modules, host=host)
            measured = measuring.run(wanted, progress=_shown_by(bar))
    except NoModuleError as error:
        return Path(), error.left_out
    return measured.folder, measured.left_out


def _shown_by(bar: Bar) -> Callable[[Run, Planned | Waiting | Event], None]:
    """Return what says how long a run takes and where its records are, then moves the bar."""
    from attnbench.measuring.events import BESIDE, Beginning, Planned, Waiting

    held_by: list[str] = []

    def progress(run: Run, event: Planned | Waiting | Event) -> None:
        if isinstance(event, Planned):
            bar.add(run)
            least, most = map(formatting.seconds, forecast.bounds_s(bar.runs, 0.0))
            output.complain(f"it takes {least} to {most}; records are in {event.folder}")
            return
        if isinstance(event, Waiting):
            if event.holder and not held_by:
                held_by.append(event.holder)
                output.complain(f"waiting for {event.holder}")
            bar.wait(event)
            return
        if isinstance(event, Beginning) and event.kind == BESIDE:
            output.complain(f"rounds are flagged, beside {event.why}")
        bar.show(run, event)

    return progress
