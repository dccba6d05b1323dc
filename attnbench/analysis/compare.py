"""Runs beside later ones: how each module's overhead changed, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import expm1
from pathlib import Path

from attnbench import formatting
from attnbench.analysis import replicates
from attnbench.analysis.replicates import Replicates
from attnbench.errors import UserError
from attnbench.records.case import GRID
from attnbench.stats import between_runs, ratios
from attnbench.stats.interval import Interval

NO_VERDICT = ("was not timed in both", "none")


@dataclass(frozen=True, kw_only=True)
class Change:
    """One module in one configuration; ``change`` is the new ratio over the old one.

    ``old`` and ``new`` are means over ``runs``, with the uncertainty of their rounds. ``change``
    has that of the runs as well; ``between`` is the share that would be left of it without the
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
    between_runs: float
    """Standard deviation of log-ratios between runs, until enough of them show it."""
    changes: tuple[Change, ...]

    @property
    def unjudged(self) -> int:
        """How many have no verdict: not timed in both, or a control that failed."""
        return sum(change.verdict in NO_VERDICT for change in self.changes)


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
    pairs = _paired(replicates.read(old), replicates.read(new), force=force)
    changes = tuple(
        change for pair in pairs for change in _changes(*pair, limit, assumed, force=force)
    )
    if not any(change.change for change in changes):
        raise UserError(f"{old} and {new} have no module in common that was timed in both")
    return Comparison(limit, assumed, changes)


def _paired(
    old: list[Replicates], new: list[Replicates], *, force: bool
) -> list[tuple[Replicates, Replicates]]:
    if len(old) == len(new) == 1:
        return [(old[0], new[0])]
    names = GRID if force else None
    before, after = (
        {replicates.configuration(side.case, names): side for side in sides} for sides in (old, new)
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
    old: Replicates, new: Replicates, limit: float, scatter: float, *, force: bool
) -> Iterator[Change]:
    caveats = replicates.differences(old.runs[0], new.runs[0], ("the old", "the new"))
    if caveats and not force:
        raise UserError(
            f"these cannot be compared: {'; '.join(caveats)}. --force compares them all the same"
        )
    several = max(len(old.runs), len(new.runs)) > 1
    if several and (max(old.times) < min(new.times) or max(new.times) < min(old.times)):
        # A change between two hours could pass for one between the runs.
        caveats.append("all runs of one side were made before those of the other")
    faults = [
        f"the control of the {name} failed: {fault}"
        for name, side in (("old", old), ("new", new))
        if (fault := side.control_fault)
    ]
    for module in dict.fromkeys((*new.modules, *old.modules)):
        before, after = old.intervals(module), new.intervals(module)
        both = bool(before and after)
        change = between_runs.change(before, after, scatter) if both else None
        fails = change is not None and not faults and change.low > 1 + limit
        if change is None:
            verdict = NO_VERDICT[0]
        elif faults:
            verdict = NO_VERDICT[1]
        elif fails:
            verdict = f"slower by more than {formatting.percent(limit)}"
        else:
            verdict = ratios.verdict(change)
        yield Change(
            configuration=new.case.described,
            module=module,
            runs=(len(before), len(after)),
            old=old.mean(module),
            new=new.mean(module),
            change=change,
            between=expm1(between_runs.between(before, after, scatter)) if both else None,
            verdict=verdict,
            fails=fails,
            caveats=(*caveats, *faults),
        )
