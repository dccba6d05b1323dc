"""Limits of latency held against finished runs: within, over, or too close to tell. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path, PurePosixPath

from attnbench import formatting
from attnbench.analysis import replicates
from attnbench.claims.limits.latency import LatencyLimit
from attnbench.claims.outcome import Outcome
from attnbench.errors import UserError
from attnbench.records.variants import PLAIN
from attnbench.stats import between_runs
from attnbench.stats.interval import Interval
from attnbench.stats.replicates import Replicates
from attnbench.stats.verdicts import reasons

CANNOT_TELL = "cannot tell"


def check(
    folder: Path,
    limits: Sequence[LatencyLimit],
    origins: Mapping[str, str | None],
    scatter: float | None = None,
) -> list[list[Outcome]]:
    """Hold each limit against every configuration in the folder that has its module and host.

    It holds where the whole 95% interval, with the scatter between runs, is at or below the limit;
    it does not where the whole of it is above. Between, and where the control fails, is no answer.
    ``origins`` identifies the code of each module and host that is not the suite's, by its name in
    the limits. ``scatter`` is the standard deviation of log-ratios between runs, until enough of
    them show it; by default that of ``stats.between_runs``.

    Raises:
        UserError: no run has the module and host of a limit, or it was run with other code.
    """
    groups, _ = replicates.read(folder)
    return [list(_judged(groups, folder, limit, origins, scatter)) for limit in limits]


def _has_host(group: Replicates, limit: LatencyLimit, origins: Mapping[str, str | None]) -> bool:
    """Return whether runs are of a limit's host, by its code; its path may begin elsewhere."""
    ran = {run.plan.sources.get(PLAIN) for run in group.runs}
    return _tail(group.case.host) == _tail(limit.host) and ran == {origins.get(limit.host)}


def _judged(
    groups: Sequence[Replicates],
    folder: Path,
    limit: LatencyLimit,
    origins: Mapping[str, str | None],
    scatter: float | None,
) -> Iterator[Outcome]:
    of_host = [group for group in groups if _has_host(group, limit, origins)]
    with_module = [
        (group, variant)
        for group in of_host
        if (variant := _variant(group, limit, origins.get(limit.module))) is not None
    ]
    if not with_module:
        known = formatting.joined(f"{name} in {g.case.host}" for g in groups for name in g.modules)
        other = [name for g in of_host for name in g.modules if _tail(name) == _tail(limit.module)]
        others = [g.case.host for g in groups if g not in of_host]
        other += [name for name in dict.fromkeys(others) if _tail(name) == _tail(limit.host)]
        raise UserError(
            f"{limit.where}: {folder} holds no run of {limit.module} in {limit.host}; it holds "
            f"{known or 'no module'}"
            + (f"; the code of {formatting.joined(other)} there is other code" if other else "")
        )
    for group, variant in with_module:
        yield _outcome(group, variant, limit, scatter)


def _variant(group: Replicates, limit: LatencyLimit, origin: str | None) -> str | None:
    """Return the module's name in these runs, where a path may begin elsewhere.

    Raises:
        UserError: they ran other code of that name.
    """
    for name in group.modules:
        ran = {run.plan.sources.get(name) for run in group.runs if name in run.modules}
        if name == limit.module and ran != {origin}:
            raise UserError(
                f"{limit.where}: the run measured other code of {name}: "
                f"{formatting.joined(str(source) for source in ran)} there, {origin} here; "
                "measure it again"
            )
        same_file = origin is not None and ran == {origin} and _tail(name) == _tail(limit.module)
        if name == limit.module or same_file:
            return name
    return None


def _tail(name: str) -> str:
    """Return a name without the folders of its file and import root: ``mine.py:Mine,size=3``."""
    settings = (
        f"import_root={PurePosixPath(part.removeprefix('import_root=')).name}"
        if part.startswith("import_root=")
        else part
        for part in name.split(",")
    )
    path, colon, rest = ",".join(settings).partition(".py:")
    return f"{PurePosixPath(path).name}{colon}{rest}" if colon else path


def _outcome(
    group: Replicates, variant: str, limit: LatencyLimit, scatter: float | None
) -> Outcome:
    ratio = limit.quantity == "latency ratio"
    if ratio:
        known = group.intervals(variant)
        assumed = between_runs.ASSUMED if scatter is None else scatter
    else:
        known, assumed = group.latencies(variant), between_runs.LATENCY_ASSUMED
    interval = between_runs.known(known, assumed) if known else None
    verdict, code = _verdict(group, interval, limit)
    written = formatting.ratio if ratio else formatting.milliseconds
    unit = "" if ratio or interval is None else " ms/image"
    return Outcome(
        kind="limit",
        name=limit.where,
        subject=f"{limit.module} in {limit.host}: {limit.quantity} ({group.case.described})",
        stated=limit.most,
        computed=interval.median if interval else None,
        low=interval.low if interval and isfinite(interval.low) else None,
        high=interval.high if interval and isfinite(interval.high) else None,
        unit=limit.unit,
        stated_text=limit.written,
        computed_text=f"{written(interval)}{unit}",
        rule=f"95% interval of {formatting.counted(len(known), 'run')}; scatter between runs "
        f"assumed: {formatting.percent(assumed)}",
        verdict=verdict,
        expected="within",
        holds=verdict == "within",
        code=code,
        undecided=verdict.startswith(CANNOT_TELL),
        file=str(limit.file),
        line=limit.line,
    )


def _verdict(group: Replicates, interval: Interval | None, limit: LatencyLimit) -> tuple[str, str]:
    """Return the verdict and its code."""
    if interval is None:
        return f"{CANNOT_TELL}: it was not timed", reasons.UNTIMED
    if fault := group.control_fault:
        code = group.control_code or reasons.CONTROL
        return f"{CANNOT_TELL}: the control failed: {fault}", code
    if interval.high <= limit.most:
        return "within", reasons.WITHIN
    if interval.low > limit.most:
        above = interval.low - limit.most
        ratio = limit.quantity == "latency ratio"
        text = formatting.fraction(above) if ratio else f"{formatting.thousandths(above)} ms"
        return f"OVER by {text} or more", reasons.OVER
    return f"{CANNOT_TELL}: the interval holds the limit", reasons.UNDECIDED
