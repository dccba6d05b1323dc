"""Runs of one configuration on one machine, taken together: a side of a comparison. No torch."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from attnbench.errors import UserError
from attnbench.records import store
from attnbench.records.run import Run, machine
from attnbench.records.run import read as read_run
from attnbench.records.schema import Case
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.stats import between_runs, ratios
from attnbench.stats.interval import Interval, median_interval
from attnbench.text import printable

FREE = ("seed", "attnbench")
"""Settings and facts that may differ between replicates."""

ADDED_LATER = ("cpu_id",)
"""Facts that older records do not have; where one side lacks them, they are no difference."""

_NO_MODEL = re.compile(r"@.*|version.*|x86_64|i[3-6]86|amd64|arm\w*|aarch64", re.IGNORECASE)
"""The digits in a CPU's name that are no model number: a frequency, an architecture."""


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


def read(folder: Path) -> tuple[list[Replicates], list[str]]:
    """Read the runs in a folder, or the folder's own, grouped by configuration.

    Isolated runs among them have no overhead. They are left out; the sentences returned say so.

    Raises:
        UserError: no runs in a host, or one configuration on two machines.
    """
    paths = store.runs_in(folder) or [folder]
    runs = {path: read_run(path) for path in paths}
    isolated = [path.name for path, run in runs.items() if run.case.isolated]
    networks = [run for run in runs.values() if not run.case.isolated]
    if not networks:
        raise UserError(f"{folder} holds modules alone; only runs in a host have an overhead")
    groups: dict[tuple[object, ...], list[Run]] = {}
    for run in networks:
        groups.setdefault(configuration(run.case), []).append(run)
    for first, *others in groups.values():
        for other in others:
            if mixed := differences(first, other, ("one run", "another")):
                raise UserError(f"{folder} holds runs of two machines: {'; '.join(mixed)}")
    remarks = [
        f"{printable(name)} in {folder} is left out: its modules ran alone, without a host"
        for name in isolated
    ]
    return [Replicates(tuple(group)) for group in groups.values()], remarks


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


def machine_doubt(one: Run, other: Run) -> str | None:
    """Return why two runs without differences may be of two machines all the same, or None.

    A family's name, ``AMD EPYC``, is that of many models; virtual machines often show no more.
    """
    ours, theirs = one.environment, other.environment
    if one.case.device == "cuda":
        uuids = {ours.get("gpu_uuid"), theirs.get("gpu_uuid")}
        if None not in uuids:
            two = "these are two GPUs of one model: their gpu_uuid differ"
            return two if len(uuids) > 1 else None
    cpu = ours.get("cpu")
    if cpu != theirs.get("cpu") or None not in {ours.get("cpu_id"), theirs.get("cpu_id")}:
        return None
    if re.search(r"\d", _NO_MODEL.sub("", str(cpu))):
        return None
    return (
        "cannot tell whether it is the same machine: the records name only the CPU's family, "
        f"{printable(str(cpu))}"
    )
