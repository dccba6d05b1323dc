"""Runs beside later ones: how each module's overhead changed, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import expm1
from pathlib import Path

from attnbench import formatting
from attnbench.analysis import replicates
from attnbench.analysis.replicates import Replicates
from attnbench.errors import UserError
from attnbench.records.case import GRID
from attnbench.stats import between_runs as repeated
from attnbench.stats import ratios
from attnbench.stats.interval import Interval

NO_VERDICT = ("was not timed in both", "none")


@dataclass(frozen=True, kw_only=True)
class Change:
    """One module in one configuration; ``change`` is the new ratio over the old one.

    ``old`` and ``new`` are means over ``runs``, with the doubt of their rounds. ``change`` has
    that of the runs as well; ``between`` is the share that would be left of it without the
    rounds' (0.04 for ±4%). ``caveats`` say why the two cannot fairly be compared, or why there
    is no verdict.
    """

    configuration: str
    module: str
    runs: tuple[int, int]
    old: Interval | None
    new: Interval | None
    change: Interval | None
    between: float | None
    verdict: str
    fails: bool
    caveats: tuple[str, ...]

    @property
    def fault(self) -> str:
        """One sentence for a change that fails."""
        return (
            f"{self.module} ({self.configuration}): its ratio to the plain host is "
            f"{formatting.ratio(self.change)} times the old one"
        )


@dataclass(frozen=True)
class Comparison:
    """All changes, and the slowdown beyond which one fails."""

    limit: float
    changes: tuple[Change, ...]
    between_runs: float
    """Standard deviation of log-ratios between runs, until enough of them show it."""

    @property
    def unjudged(self) -> int:
        """How many have no verdict: not timed in both, or a control that failed."""
        return sum(each.verdict in NO_VERDICT for each in self.changes)


def compare(
    old: Path,
    new: Path,
    limit: float,
    *,
    force: bool = False,
    between_runs: float | None = None,
) -> Comparison:
    """Each module of every configuration that both folders hold.

    Raises:
        UserError: a folder without runs, no configuration or module in common, or, without
            ``force``, runs of different machines or settings.
    """
    scatter = repeated.ASSUMED if between_runs is None else between_runs
    pairs = _paired(replicates.read(old), replicates.read(new), force=force)
    judge = partial(_change, limit=limit, between_runs=scatter)
    changes = tuple(change for pair in pairs for change in _changes(*pair, judge, force=force))
    if not any(each.change for each in changes):
        raise UserError(f"{old} and {new} have no module in common that was timed in both")
    return Comparison(limit, changes, scatter)


def _paired(
    old: list[Replicates], new: list[Replicates], *, force: bool
) -> list[tuple[Replicates, Replicates]]:
    if len(old) == len(new) == 1:
        return [(old[0], new[0])]
    names = GRID if force else None
    before, after = (
        {replicates.configuration(side.case, names): side for side in each} for each in (old, new)
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


def _changes(
    old: Replicates, new: Replicates, judge: Callable[..., Change], *, force: bool
) -> list[Change]:
    caveats = tuple(replicates.differences(old.runs[0], new.runs[0], ("the old", "the new")))
    if caveats and not force:
        raise UserError(
            f"these cannot be compared: {'; '.join(caveats)}. --force compares them all the same"
        )
    if _apart(old, new):
        caveats += ("all runs of one side were made before those of the other",)
    faults = tuple(
        f"the control of the {name} failed: {fault}"
        for name, side in (("old", old), ("new", new))
        if (fault := side.control_fault) is not None
    )
    every = dict.fromkeys((*new.modules, *old.modules))
    return [
        judge(old, new, module, caveats=caveats + faults, judged=not faults) for module in every
    ]


def _apart(old: Replicates, new: Replicates) -> bool:
    """Whether what changed between two hours could pass for a change between several runs."""
    several = max(len(old.runs), len(new.runs)) > 1
    return several and (max(old.times) < min(new.times) or max(new.times) < min(old.times))


def _change(  # noqa: PLR0913  what a change is made of
    old: Replicates,
    new: Replicates,
    module: str,
    *,
    limit: float,
    between_runs: float,
    caveats: tuple[str, ...],
    judged: bool,
) -> Change:
    before, after = old.intervals(module), new.intervals(module)
    both = bool(before and after)
    change = repeated.change(before, after, between_runs) if both else None
    fails = change is not None and judged and change.low > 1 + limit
    return Change(
        configuration=new.case.described,
        module=module,
        runs=(len(before), len(after)),
        old=old.mean(module),
        new=new.mean(module),
        change=change,
        between=expm1(repeated.between(before, after, between_runs)) if both else None,
        verdict=_verdict(change, limit, fails=fails, failed=not judged),
        fails=fails,
        caveats=caveats,
    )


def _verdict(change: Interval | None, limit: float, *, fails: bool, failed: bool) -> str:
    if change is None:
        return NO_VERDICT[0]
    if failed:
        return NO_VERDICT[1]
    if fails:
        return f"slower by more than {formatting.percent(limit)}"
    return ratios.verdict(change)
