"""Runs of one configuration on one machine, taken together: a side of a comparison. No torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from attnbench.errors import UserError
from attnbench.records import run as runs
from attnbench.records import store
from attnbench.records.run import Run
from attnbench.records.schema import Case
from attnbench.records.variants import CONTROL
from attnbench.stats import between_runs, ratios
from attnbench.stats.interval import Interval

FREE = ("seed", "attnbench")
"""Settings and facts that may differ between two runs of one thing."""


@dataclass(frozen=True)
class Replicates:
    """One run of a configuration or several, whose settings and machine are the same."""

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
        """The variant's ratio to the plain host in each run that has one."""
        found = (ratios.ratio(run.rounds, variant) for run in self.runs)
        return [interval for interval in found if interval is not None]

    def mean(self, variant: str) -> Interval | None:
        """The mean of these, with the doubt of their rounds alone."""
        found = self.intervals(variant)
        return between_runs.mean(found) if found else None

    @property
    def control_fault(self) -> str | None:
        """Why these runs allow no verdicts, or None where their control holds."""
        return ratios.fault(self.mean(CONTROL), max(run.plan.target for run in self.runs))


def read(folder: Path) -> list[Replicates]:
    """The runs in a folder, those of one configuration together.

    Raises:
        UserError: no runs, modules alone, or one configuration on two machines.
    """
    found = [runs.read(each) for each in store.runs_in(folder) or [folder]]
    if any(run.case.isolated for run in found):
        raise UserError(f"{folder} holds modules alone; only runs in a host have an overhead")
    together: dict[tuple[object, ...], list[Run]] = {}
    for run in found:
        together.setdefault(configuration(run.case), []).append(run)
    for first, *others in together.values():
        for other in others:
            mixed = differences(first, other, ("one run", "another"))
            if mixed:
                raise UserError(f"{folder} holds runs of two machines: {'; '.join(mixed)}")
    return [Replicates(tuple(each)) for each in together.values()]


def configuration(case: Case, names: Iterable[str] | None = None) -> tuple[object, ...]:
    """The values of those settings, or of all by which configurations are told apart."""
    settings = asdict(case)
    return tuple(settings[name] for name in names or settings if name not in FREE)


def differences(one: Run, other: Run, where: tuple[str, str]) -> list[str]:
    """What is not the same, of the settings and of the machines."""
    ours, theirs = (
        {**asdict(run.case), **runs.machine(run.environment), **dict.fromkeys(FREE)}
        for run in (one, other)
    )
    return [
        f"{key} is {value} in {where[0]} and {theirs[key]} in {where[1]}"
        for key, value in ours.items()
        if theirs[key] != value
    ]
