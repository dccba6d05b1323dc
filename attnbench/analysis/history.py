"""How a module's overhead developed over the runs of one machine and configuration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from attnbench import formatting
from attnbench.analysis.replicates import machine_doubt, processor
from attnbench.errors import UserError
from attnbench.files import resolved
from attnbench.records import store
from attnbench.records.run import Run
from attnbench.records.run import read as read_run
from attnbench.stats import between_runs, ratios
from attnbench.stats.interval import Interval
from attnbench.stats.replicates import ADDED_LATER, Replicates, began, configuration, originals
from attnbench.stats.verdicts import reasons
from attnbench.text import printable

SURE = ("cpu", "cores", "cores_allowed", "gpu", "gpu_uuid")
HARDWARE = (*SURE, *ADDED_LATER)
"""The facts of an environment that are one machine's; all others may change over its history."""

SOFTWARE = ("torch", "python", "gpu_driver", "cuda", "cudnn", "platform", "attnbench")
"""The facts whose change is named beside a point."""

DIGEST = 12
"""Characters of the digest of a custom module's code."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One run's ratio of a module to the plain host.

    ``ratio`` has the interval of its rounds, ``known`` also the variation between runs. ``change``
    is the ratio over the mean of the runs since the last significant change; None for the first of
    them, and where the run's control failed.
    """

    began: str
    run: str
    ratio: Interval
    known: Interval
    change: Interval | None
    verdict: str
    code: str
    """Of the verdict, as of ``attnbench explain``; ``first`` where there is nothing to compare."""
    source: str | None
    """Of a custom module: the beginning of its code's digest."""
    differs: tuple[str, ...]
    """What is not as in the run before: ``torch 2.14.1, was 2.13.0``."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """The points of one module, in the order of time."""

    configuration: str
    machine: str
    module: str
    points: tuple[Point, ...]

    @property
    def changes(self) -> tuple[Point, ...]:
        """The runs from which on the ratio is significantly another."""
        return tuple(point for point in self.points if point.verdict in CHANGED)


CHANGED = ("slower", "faster")

FIRST, SAME, NO_VERDICT = "first", "no significant difference", "no verdict"


@dataclass(frozen=True, kw_only=True)
class History:
    """All series, and what was left out."""

    between_runs: float
    series: tuple[Series, ...]
    remarks: tuple[str, ...]


def history(folders: Sequence[Path], scatter: float | None = None) -> History:
    """Read the runs in the folders; return one series a machine, configuration and module.

    ``scatter``: standard deviation of log-ratios between runs, until enough runs show it; by
    default that of ``stats.between_runs``. A run is compared with all runs since the last
    significant change, so that a slow drift is found as well as a jump. Of twenty comparisons
    without a change, one is significant by chance.

    Raises:
        UserError: no run in a host, or a damaged one.
    """
    runs, remarks = _read(folders)
    machines = _machines([run for _, run in runs])
    groups: dict[tuple[object, ...], list[tuple[str, Run]]] = {}
    for name, run in sorted(runs, key=lambda known: began(known[1])):
        groups.setdefault((machines[id(run)], configuration(run.case)), []).append((name, run))
    assumed = between_runs.ASSUMED if scatter is None else scatter
    series = [
        found
        for (machine, _), group in groups.items()
        for found in _series(group, str(machine), assumed)
    ]
    if not series:
        raise UserError("no module was timed in these runs")
    remarks += dict.fromkeys(
        doubt
        for (_, first), *others in groups.values()
        for _, other in others
        if (doubt := machine_doubt(first, other)) is not None
    )
    return History(between_runs=assumed, series=tuple(series), remarks=tuple(remarks))


def _read(folders: Sequence[Path]) -> tuple[list[tuple[str, Run]], list[str]]:
    paths = dict.fromkeys(
        resolved(path) for folder in folders for path in store.runs_in(folder) or [folder]
    )
    runs = [(printable(path.name), read_run(path)) for path in paths]
    isolated = [name for name, run in runs if run.case.isolated]
    networks = [(name, run) for name, run in runs if not run.case.isolated]
    if not networks:
        raise UserError("these runs hold modules alone; only runs in a host have an overhead")
    remarks = [f"{name} is left out: its modules ran alone" for name in isolated]
    known = originals({number: run for number, (_, run) in enumerate(networks)})
    copies = sorted(number for same in known.values() for number in same)
    remarks += [
        f"a second copy of the run in {networks[number][0]} is left out" for number in copies
    ]
    return [networks[number] for number in known], remarks


def _machines(runs: Sequence[Run]) -> dict[int, str]:
    """Return the name of each run's machine, by the run's ``id``; those of two machines differ.

    Older records lack some facts: where they and others agree in all else, and those others in
    these facts, they are taken for the same machine.
    """
    known: dict[tuple[object, ...], set[tuple[object, ...]]] = {}
    for run in runs:
        known.setdefault(_facts(run, SURE), set()).add(_facts(run, ADDED_LATER))
    none = (None,) * len(ADDED_LATER)
    facts: dict[int, dict[str, object]] = {}
    for run in runs:
        later = known[_facts(run, SURE)] - {none}
        keys = HARDWARE if len(later) > 1 else SURE
        facts[id(run)] = {key: run.environment.get(key) for key in keys}
    named: dict[str, list[dict[str, object]]] = {}
    for run in runs:
        named.setdefault(processor(run), []).append(facts[id(run)])
    return {id(run): _machine(run, facts[id(run)], named[processor(run)]) for run in runs}


def _facts(run: Run, keys: Iterable[str]) -> tuple[object, ...]:
    return tuple(run.environment.get(key) for key in keys)


def _machine(run: Run, facts: dict[str, object], alike: Sequence[dict[str, object]]) -> str:
    """Return the processor's name, with the facts in which machines of that name differ."""
    differing = [key for key in facts if any(other.get(key) != facts[key] for other in alike)]
    return ", ".join([processor(run), *(f"{key} {_text(facts[key])}" for key in differing)])


def _series(group: Sequence[tuple[str, Run]], machine: str, scatter: float) -> Iterator[Series]:
    first = group[0][1]
    for module in dict.fromkeys(name for _, run in group for name in run.modules):
        points = tuple(_points(group, module, scatter))
        if points:
            yield Series(
                configuration=first.case.described,
                machine=machine,
                module=module,
                points=points,
            )


def _points(group: Iterable[tuple[str, Run]], module: str, scatter: float) -> Iterator[Point]:
    level: list[Interval] = []
    before: Run | None = None
    for name, run in group:
        interval = ratios.ratio(run.rounds, module)
        if interval is None:
            continue
        change, control = None, Replicates((run,)).control_code
        if control is not None:
            verdict, code = NO_VERDICT, control
        elif not level:
            verdict = code = FIRST
            level = [interval]
        else:
            change = between_runs.change(level, [interval], scatter)
            verdict, code = ratios.verdict(change), reasons.of_ratio(change)
            level = [interval] if change.excludes_one else [*level, interval]
        yield Point(
            began=began(run),
            run=name,
            ratio=interval,
            known=between_runs.known([interval], scatter),
            change=change,
            verdict=verdict,
            code=code,
            source=_source(run, module),
            differs=tuple(_differences(before, run, module)),
        )
        before = run


def _source(run: Run, module: str) -> str | None:
    source = run.plan.sources.get(module)
    if source is None:
        return None
    kind, _, digest = source.partition(" ")
    return digest[:DIGEST] if kind == "sha256" else printable(source)


def _differences(before: Run | None, run: Run, module: str) -> Iterator[str]:
    if before is None:
        return
    for fact in SOFTWARE:
        old, new = before.environment.get(fact), run.environment.get(fact)
        if old != new:
            yield f"{fact} {_text(new)}, was {_text(old)}"
    if _source(before, module) != _source(run, module):
        yield f"code {_text(_source(run, module))}, was {_text(_source(before, module))}"


def _text(fact: object) -> str:
    return formatting.NOTHING if fact is None else printable(str(fact))
