"""Two runs beside each other: how each module's overhead changed, and how sure that is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from math import inf, isfinite
from pathlib import Path

from . import github, runs, statistics, store, units
from .errors import UserError
from .records import GRID, Case
from .runs import Run
from .statistics import Interval

HEADINGS = ("module", "old ratio", "new ratio", "change [95%]", "verdict", "but")

NO_VERDICT = ("was not timed in both", "none")

FREE = ("seed",)
"""Fields of a case that may differ between two runs of one setting."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One module in one configuration; ``change`` is the new ratio over the old one.

    ``caveats`` say why the two cannot fairly be compared, or why there is no verdict.
    """

    configuration: str
    module: str
    old: Interval | None
    new: Interval | None
    change: Interval | None
    verdict: str
    fails: bool
    caveats: tuple[str, ...]

    @property
    def fault(self) -> str:
        """One sentence for a change that fails."""
        return (
            f"{self.module} ({self.configuration}): its ratio to the plain host is "
            f"{units.ratio(self.change)} times the old one"
        )


@dataclass(frozen=True)
class Comparison:
    """All changes, and the slowdown beyond which one fails."""

    limit: float
    changes: tuple[Change, ...]

    @property
    def unjudged(self) -> int:
        """How many have no verdict: not timed in both, or a control that failed."""
        return sum(each.verdict in NO_VERDICT for each in self.changes)


def share(text: str) -> float:
    """``3%`` or ``0.03`` as 0.03.

    Raises:
        UserError: neither, or below zero.
    """
    number = text.strip()
    try:
        value = float(number.removesuffix("%")) / (100 if number.endswith("%") else 1)
    except ValueError:
        value = -inf
    if not 0 <= value < inf:
        raise UserError(f"'{text}' is no share such as 3% or 0.03")
    if value >= 1 and not number.endswith("%"):
        raise UserError(f"'{text}' would be {value:.0%}; write {number}% or {value / 100:g}")
    return value


def compare(old: Path, new: Path, limit: float, *, force: bool = False) -> Comparison:
    """Each module of every configuration that both folders hold.

    Raises:
        UserError: a folder without runs, no configuration or module in common, or, without
            ``force``, runs of different machines or settings.
    """
    pairs = _paired(_read(old), _read(new), force=force)
    changes = tuple(change for pair in pairs for change in _changes(*pair, limit, force=force))
    if not any(each.change for each in changes):
        raise UserError(f"{old} and {new} have no module in common that was timed in both")
    return Comparison(limit, changes)


def _read(folder: Path) -> list[Run]:
    found = [runs.read(each) for each in store.runs_in(folder) or [folder]]
    if any(run.case.isolated for run in found):
        raise UserError(f"{folder} holds modules alone; compare takes runs in a host")
    return found


def _paired(old: Sequence[Run], new: Sequence[Run], *, force: bool) -> list[tuple[Run, Run]]:
    if len(old) == len(new) == 1:
        return [(old[0], new[0])]
    names = GRID if force else tuple(asdict(new[0].case).keys() - set(FREE))
    by_case = {_configuration(run.case, names): run for run in old}
    if len(by_case) < len(old) or len({_configuration(run.case, names) for run in new}) < len(new):
        raise UserError("a folder holds two runs of one configuration; compare them one by one")
    keys = [_configuration(run.case, names) for run in new]
    pairs = [(by_case[key], run) for key, run in zip(keys, new, strict=True) if key in by_case]
    if len(pairs) < max(len(old), len(new)) and not force:
        raise UserError(
            f"of {len(old)} and {len(new)} configurations only {len(pairs)} in both; "
            "--force compares those"
        )
    return pairs


def _configuration(case: Case, names: Iterable[str]) -> tuple[object, ...]:
    return tuple(getattr(case, name) for name in names)


def _changes(old: Run, new: Run, limit: float, *, force: bool) -> list[Change]:
    caveats = tuple(_differences(old, new))
    if caveats and not force:
        raise UserError(
            f"these cannot be compared: {'; '.join(caveats)}. --force compares them all the same"
        )
    for name, run in (("the old run's", old), ("the new run's", new)):
        fault = statistics.control_fault(run.rounds, run.plan.target)
        if fault is not None:
            caveats += (f"{name} control failed: {fault}",)
    every = dict.fromkeys((*new.modules, *old.modules))
    return [_change(old, new, module, limit, caveats) for module in every]


def _differences(old: Run, new: Run) -> list[str]:
    """What is not the same, of the settings and of the machines."""
    facts = (
        (asdict(old.case), asdict(new.case), FREE),
        (runs.machine(old.environment), runs.machine(new.environment), ("attnbench",)),
    )
    return [
        f"{key} is {mine.get(key)} in the old and {theirs.get(key)} in the new"
        for mine, theirs, free in facts
        for key in mine
        if key not in free and mine.get(key) != theirs.get(key)
    ]


def _change(old: Run, new: Run, module: str, limit: float, caveats: tuple[str, ...]) -> Change:
    before, after = (statistics.ratio(run.rounds, module) for run in (old, new))
    change = None if before is None or after is None else statistics.change(before, after)
    failed = any("control failed" in caveat for caveat in caveats)
    fails = change is not None and not failed and change.low > 1 + limit
    return Change(
        configuration=new.case.described,
        module=module,
        old=before,
        new=after,
        change=change,
        verdict=_verdict(change, limit, fails=fails, failed=failed),
        fails=fails,
        caveats=caveats,
    )


def _verdict(change: Interval | None, limit: float, *, fails: bool, failed: bool) -> str:
    if change is None:
        return NO_VERDICT[0]
    if failed:
        return NO_VERDICT[1]
    if fails:
        return f"slower by more than {units.percent(limit)}"
    return statistics.verdict(change)


def tables(found: Comparison) -> Iterable[tuple[str, list[tuple[str, ...]]]]:
    """A caption and rows under HEADINGS for each configuration."""
    for configuration in dict.fromkeys(change.configuration for change in found.changes):
        changes = [each for each in found.changes if each.configuration == configuration]
        yield f"Change of the ratio to the plain host: {configuration}", list(map(cells, changes))


def cells(change: Change) -> tuple[str, ...]:
    """A row under HEADINGS."""
    return (
        change.module,
        units.ratio(change.old),
        units.ratio(change.new),
        units.ratio(change.change),
        change.verdict,
        "; ".join(change.caveats),
    )


def as_json(found: Comparison) -> str:
    """The limit, and a list of objects, one a change; an infinite end is null."""
    data = {"limit": found.limit, "changes": [asdict(change) for change in found.changes]}
    for change in data["changes"]:  # type: ignore[attr-defined]
        for interval in filter(None, (change[key] for key in ("old", "new", "change"))):
            interval |= {key: value if isfinite(value) else None for key, value in interval.items()}
    return json.dumps(data, indent=2, allow_nan=False)


def as_github(found: Comparison) -> str:
    """An annotation for every slowdown that fails; the tables go to the step's summary."""
    notes = [github.annotation(each.module, each.fault) for each in found.changes if each.fails]
    headline = (
        f"{len(notes)} of {len(found.changes)} slower by more than {units.percent(found.limit)}; "
        f"{found.unjudged} without a verdict"
    )
    printed = "\n\n".join(
        f"**{caption}**\n\n{github.markdown_table(HEADINGS, rows)}\n"
        for caption, rows in tables(found)
    )
    return github.said(notes, headline, printed)


FORMATS: dict[str, Callable[[Comparison], str]] = {"json": as_json, "github": as_github}
