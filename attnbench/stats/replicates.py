"""Runs of one configuration on one machine, taken together."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from attnbench.records.run import Run, machine
from attnbench.records.schema import Case
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.stats import between_runs, ratios
from attnbench.stats.interval import Interval, median_interval
from attnbench.stats.verdicts import reasons

Name = TypeVar("Name", bound=Hashable)

FREE = ("seed", "attnbench")
"""Settings and facts that may differ between replicates."""

ADDED_LATER = ("cpu_id",)
"""Facts that older records do not have; where one side lacks them, they are no difference."""


@dataclass(frozen=True)
class Replicates:
    """One or more runs with the same settings on the same machine."""

    runs: tuple[Run, ...]
    left_out: tuple[tuple[Run, str], ...] = ()
    """Runs whose control failed, each with its fault, where that of another held."""

    @classmethod
    def of(cls, runs: Sequence[Run]) -> Replicates:
        """Take runs together; those whose control fails are left out, unless all fail.

        Where all fail, their controls are taken together too, which may know enough.
        """
        faults = [(run, control_fault(run)) for run in runs]
        held = tuple(run for run, fault in faults if fault is None)
        if not held:
            return cls(tuple(runs))
        return cls(held, tuple((run, fault) for run, fault in faults if fault is not None))

    @property
    def case(self) -> Case:
        """The configuration."""
        return self.runs[0].case

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules of all runs, in the order of the first."""
        every = (*self.runs, *(run for run, _ in self.left_out))
        return tuple(dict.fromkeys(module for run in every for module in run.modules))

    @property
    def times(self) -> list[str]:
        """When each run began."""
        return [began(run) for run in self.runs]

    def intervals(self, variant: str, baseline: str = PLAIN) -> list[Interval]:
        """Return the variant's ratio to the plain host, or another, in each run that has one."""
        known = (ratios.ratio(run.rounds, variant, baseline=baseline) for run in self.runs)
        return [interval for interval in known if interval]

    def mean(self, variant: str) -> Interval | None:
        """Return the mean of these ratios, with the uncertainty of their rounds alone."""
        return between_runs.mean(known) if (known := self.intervals(variant)) else None

    def latencies(self, variant: str) -> list[Interval]:
        """Return the variant's seconds for one image in each run that timed it."""
        images = self.case.batch_size
        steps = (ratios.seconds_per_step(run.rounds, variant) for run in self.runs)
        return [median_interval([step / images for step in timed]) for timed in steps if timed]

    @property
    def plain_s(self) -> Interval | None:
        """Seconds of the plain host for one image: the mean of the runs, with their rounds'."""
        return between_runs.mean(known) if (known := self.latencies(PLAIN)) else None

    @property
    def control_fault(self) -> str | None:
        """Why these runs allow no verdicts, or None where their control holds."""
        return ratios.fault(self.mean(CONTROL), max(run.plan.target for run in self.runs))

    @property
    def control_code(self) -> str | None:
        """The code of that fault: see ``reasons``."""
        rounds = [timed for run in self.runs for timed in run.rounds]
        moments = [moment for run in self.runs for moment in run.moments]
        throttled = sum(bool(moment.get("gpu_throttle")) for moment in moments)
        target = max(run.plan.target for run in self.runs)
        return reasons.of_control(self.mean(CONTROL), target, rounds, throttled)


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
        if theirs[key] != value and not (key in ADDED_LATER and None in {value, theirs[key]})
    ]


AT_ONCE = timedelta(minutes=1)
"""From a run's plan to its first step, where nothing else is measured between."""


def control_fault(run: Run) -> str | None:
    """Return why a run's control does not hold, or None where it does."""
    plan = run.plan
    return ratios.control_fault(
        run.rounds, plan.target, baseline=plan.baseline, control=plan.control
    )


def began(run: Run) -> str:
    """Return when a run began: when it was planned, or at its first step where that came later.

    Of several runs, all are planned at once.
    """
    planned, first = str(run.environment.get("time")), run.started
    if first is None:
        return planned
    try:
        waited = datetime.fromisoformat(first) - datetime.fromisoformat(planned)
    except (TypeError, ValueError):  # one has no time zone, or is no time
        return planned
    return first if waited > AT_ONCE else planned


def is_copy(one: Run, other: Run) -> bool:
    """Return whether two folders hold one run: a copy is no second measurement."""
    return bool(one.rounds) and (
        (one.plan, one.case, one.environment, one.rounds)
        == (other.plan, other.case, other.environment, other.rounds)
    )


def originals(runs: Mapping[Name, Run]) -> dict[Name, list[Name]]:
    """Return the names of these runs without those of copies, each with its copies' names."""
    known: dict[Name, list[Name]] = {}
    for name, run in runs.items():
        first = next((other for other in known if is_copy(run, runs[other])), None)
        if first is None:
            known[name] = []
        else:
            known[first].append(name)
    return known


def other_code(one: Run, other: Run) -> list[str]:
    """Return the modules that both runs have, with code that differs."""
    ours, theirs = one.plan.sources, other.plan.sources
    return [name for name in ours if name in theirs and ours[name] != theirs[name]]


def alike(one: Run, other: Run) -> bool:
    """Return whether two runs are of one configuration, machine, device and code."""
    devices = {run.environment.get("gpu_uuid") for run in (one, other)} - {None}
    return (
        configuration(one.case) == configuration(other.case)
        and not differences(one, other, ("one", "other"))
        and not other_code(one, other)
        and len(devices) <= 1
    )
