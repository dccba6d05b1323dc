"""Runs of one configuration on one machine, taken together: a side of a comparison. No torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from attnbench.errors import UserError
from attnbench.records import store
from attnbench.records.run import Run, machine
from attnbench.records.run import read as read_run
from attnbench.records.schema import Case
from attnbench.records.variants import CONTROL
from attnbench.stats import between_runs, ratios
from attnbench.stats.interval import Interval

FREE = ("seed", "attnbench")
"""Settings and facts that may differ between replicates."""


@dataclass(frozen=True)
class Replicates:
    """One or more runs with the same settings on the same machine."""

    runs: tuple[Run, ...]

    @property
    def case(self) -> Case:
        """The configuration."""
        return self.runs[0].case

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules of all runs, in the order of the first."""
        return tuple(dict.fromkeys(module for run in self.runs for module in run.modules))

    @property
    def times(self) -> list[str]:
        """When each run began."""
        return [str(run.environment.get("time")) for run in self.runs]

    def intervals(self, variant: str) -> list[Interval]:
        """Return the variant's ratio to the plain host in each run that has one."""
        return [known for run in self.runs if (known := ratios.ratio(run.rounds, variant))]

    def mean(self, variant: str) -> Interval | None:
        """Return the mean of these ratios, with the uncertainty of their rounds alone."""
        return between_runs.mean(known) if (known := self.intervals(variant)) else None

    @property
    def control_fault(self) -> str | None:
        """Why these runs allow no verdicts, or None where their control holds."""
        return ratios.fault(self.mean(CONTROL), max(run.plan.target for run in self.runs))


def read(folder: Path) -> list[Replicates]:
    """Read the runs in a folder, or the folder's own, grouped by configuration.

    Raises:
        UserError: no runs, isolated modules, or one configuration on two machines.
    """
    runs = [read_run(path) for path in store.runs_in(folder) or [folder]]
    if any(run.case.isolated for run in runs):
        raise UserError(f"{folder} holds modules alone; only runs in a host have an overhead")
    groups: dict[tuple[object, ...], list[Run]] = {}
    for run in runs:
        groups.setdefault(configuration(run.case), []).append(run)
    for first, *others in groups.values():
        for other in others:
            if mixed := differences(first, other, ("one run", "another")):
                raise UserError(f"{folder} holds runs of two machines: {'; '.join(mixed)}")
    return [Replicates(tuple(group)) for group in groups.values()]


def configuration(case: Case, names: Iterable[str] | None = None) -> tuple[object, ...]:
    """Return the values of these settings; by default of all that distinguish configurations."""
    settings = asdict(case)
    return tuple(settings[name] for name in names or settings if name not in FREE)


def differences(one: Run, other: Run, labels: tuple[str, str]) -> list[str]:
    """Return a sentence for each setting and fact of the machine in which two runs differ."""
    ours, theirs = (
        {**asdict(run.case), **machine(run.environment), **dict.fromkeys(FREE)}
        for run in (one, other)
    )
    return [
        f"{key} is {value} in {labels[0]} and {theirs[key]} in {labels[1]}"
        for key, value in ours.items()
        if theirs[key] != value
    ]
