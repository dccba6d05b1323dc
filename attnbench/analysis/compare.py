"""Runs beside later ones: how each module's overhead changed, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import expm1
from pathlib import Path

from attnbench import formatting
from attnbench.analysis import replicates
from attnbench.errors import UserError
from attnbench.records.case import GRID
from attnbench.records.variants import PLAIN
from attnbench.stats import between_runs, ratios
from attnbench.stats.interval import Interval
from attnbench.stats.replicates import Replicates, configuration, differences
from attnbench.stats.verdicts import reasons

UNTIMED, NO_VERDICT = "was not timed in both", "none"

MOVED = 0.1
"""Change of the plain host's own latency, as a share, from which on a remark warns of it."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One module in one configuration; ``change`` is the new ratio over the old one.

    ``old`` and ``new`` are means over ``runs``, with the uncertainty of their rounds. ``change``
    has that of the runs as well; ``between`` is the share that would be left of it without the
    rounds' (0.04 for ±4%). ``lost``: it was timed in the old runs and could not be in the new
    ones, although these were asked for it.
    """

    configuration: str
    module: str
    runs: tuple[int, int]
    old: Interval | None
    new: Interval | None
    change: Interval | None
    between: float | None
    verdict: str
    code: str
    """Of the verdict, as of ``attnbench explain``."""
    fails: bool
    lost: bool

    @property
    def judged(self) -> bool:
        """Whether there is a verdict: it was timed in both, and both controls hold."""
        return self.verdict not in {UNTIMED, NO_VERDICT}

    @property
    def fault(self) -> str:
        """One sentence for a change that fails."""
        return (
            f"{self.module} ({self.configuration}): its ratio to the plain host is "
            f"{formatting.ratio(self.change)} times the old one"
        )


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One configuration: how long its plain host took, and what a reader should know.

    ``plain_s`` are the old and new seconds for one image, None where it was not timed.
    ``remarks`` say why the two cannot fairly be compared, or why there is no verdict; ``faults``
    are those of them that say the latter.
    """

    configuration: str
    plain_s: tuple[Interval | None, Interval | None]
    remarks: tuple[str, ...]
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All changes, and the slowdown beyond which one fails."""

    limit: float
    between_runs: float
    """Standard deviation of log-ratios between runs, until enough of them show it."""
    pairs: tuple[Pair, ...]
    changes: tuple[Change, ...]

    @property
    def unjudged(self) -> int:
        """How many have no verdict: not timed in both, or a control that failed."""
        return sum(not change.judged for change in self.changes)

    @property
    def open_faults(self) -> list[str]:
        """Why it cannot be said that nothing has become slower; empty where it can.

        A module of which the new runs have no time, or a configuration without any verdict.
        """
        faults = [
            f"{change.module} ({change.configuration}) was timed in the old runs, and could not "
            "be timed in the new ones"
            for change in self.changes
            if change.lost
        ]
        for pair in self.pairs:
            changes = [row for row in self.changes if row.configuration == pair.configuration]
            if not any(change.judged for change in changes):
                reasons = "; ".join(pair.faults) or "none was timed in both"
                faults.append(f"no module has a verdict ({pair.configuration}): {reasons}")
        return faults


def compare(
    old: Path, new: Path, limit: float, *, force: bool = False, scatter: float | None = None
) -> Comparison:
    """Compare each module in every configuration that both folders hold.

    ``limit`` is the slowdown beyond which a change fails (0.03 for 3%). ``scatter`` is the standard
    deviation of log-ratios between runs, until enough of them show it; by default that of
    ``stats.between_runs``.

    Raises:
        UserError: a folder without runs, no configuration or module in common, or, without
            ``force``, runs of different machines or settings.
    """
    assumed = between_runs.ASSUMED if scatter is None else scatter
    (before, left_out), (after, left_out_too) = replicates.read(old), replicates.read(new)
    pairs: list[Pair] = []
    changes: list[Change] = []
    for old_runs, new_runs in _paired(before, after, force=force):
        remarks, faults = _remarks(old_runs, new_runs, force=force)
        without = (*faults, *dict.fromkeys((*left_out, *left_out_too)))
        pairs.append(
            Pair(
                configuration=new_runs.case.described,
                plain_s=(old_runs.plain_s, new_runs.plain_s),
                remarks=(*remarks, *without),
                faults=without,
            )
        )
        changes += _changes(old_runs, new_runs, limit, assumed, control_holds=not faults)
    if not any(change.change for change in changes):
        raise UserError(f"{old} and {new} have no module in common that was timed in both")
    return Comparison(limit=limit, between_runs=assumed, pairs=tuple(pairs), changes=tuple(changes))


def _paired(
    old: list[Replicates], new: list[Replicates], *, force: bool
) -> list[tuple[Replicates, Replicates]]:
    if len(old) == len(new) == 1:
        return [(old[0], new[0])]
    names = GRID if force else None
    before, after = (
        {configuration(side.case, names): side for side in sides} for sides in (old, new)
    )
    if len(before) < len(old) or len(after) < len(new):
        raise UserError(
            f"a folder holds two configurations of one {', '.join(GRID)}; compare them one by one"
        )
    pairs = [(before[key], side) for key, side in after.items() if key in before]
    if len(pairs) < max(len(old), len(new)) and not force:
        raise UserError(
            f"of {len(old)} and {len(new)} configurations only {len(pairs)} in both; "
            "--force compares those"
        )
    return pairs


def _remarks(old: Replicates, new: Replicates, *, force: bool) -> tuple[list[str], list[str]]:
    """Return why the two may not be comparable, and the faults of their controls."""
    remarks = differences(old.runs[0], new.runs[0], ("the old", "the new"))
    if remarks and not force:
        raise UserError(
            f"these cannot be compared: {'; '.join(remarks)}. --force compares them all the same"
        )
    alike = not remarks
    if alike and (doubt := replicates.machine_doubt(old.runs[0], new.runs[0])):
        remarks.append(doubt)
    remarks += (
        f"the code of {name} is other code in the new: {now or 'none'}, was {was or 'none'}"
        for name, was, now in _other_code(old, new)
    )
    several = max(len(old.runs), len(new.runs)) > 1
    if several and (max(old.times) < min(new.times) or max(new.times) < min(old.times)):
        # A change between two hours could pass for one between the runs.
        remarks.append("all runs of one side were made before those of the other")
    before, after = old.plain_s, new.plain_s
    if alike and before and after and abs(after.median / before.median - 1) > MOVED:
        remarks.append(
            f"the plain host itself went from {formatting.thousandths(before.median)} to "
            f"{formatting.thousandths(after.median)} ms/image: the machine was in another state, "
            "and a ratio may change with it"
        )
    faults = [
        f"the control of the {name} failed: {fault}"
        for name, side in (("old", old), ("new", new))
        if (fault := side.control_fault)
    ]
    return remarks, faults


def _other_code(old: Replicates, new: Replicates) -> Iterator[tuple[str, str, str]]:
    """Yield what both sides have under one name with other code: the name, old code, new code."""
    before, after = (side.runs[0].plan.sources for side in (old, new))
    for name in dict.fromkeys((*before, *after)):
        in_both = all(name in {PLAIN, *side.runs[0].modules} for side in (old, new))
        was, now = before.get(name, ""), after.get(name, "")
        if in_both and was != now:
            yield "the host" if name == PLAIN else name, was, now


def _changes(
    old: Replicates, new: Replicates, limit: float, scatter: float, *, control_holds: bool
) -> Iterator[Change]:
    control = old.control_code or new.control_code or reasons.CONTROL
    for module in dict.fromkeys((*new.modules, *old.modules)):
        before, after = old.intervals(module), new.intervals(module)
        both = bool(before and after)
        change = between_runs.change(before, after, scatter) if both else None
        fails = change is not None and control_holds and change.low > 1 + limit
        if change is None:
            verdict, code = UNTIMED, reasons.UNTIMED
        elif not control_holds:
            verdict, code = NO_VERDICT, control
        elif fails:
            code = reasons.SLOWER
            verdict = f"slower by more than {formatting.stated_percent(limit)}"
        else:
            verdict, code = ratios.verdict(change), reasons.of_ratio(change)
        yield Change(
            configuration=new.case.described,
            module=module,
            runs=(len(before), len(after)),
            old=old.mean(module),
            new=new.mean(module),
            change=change,
            between=expm1(between_runs.between(before, after, scatter)) if both else None,
            verdict=verdict,
            code=code,
            fails=fails,
            lost=bool(before) and not after and module in new.modules,
        )
