"""Runs of one configuration as one: means over the runs, with intervals that cover them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from math import exp, expm1, fsum, hypot, log, log1p
from typing import Any

import pandas as pd

from attnbench.records.evaluation import Evaluation
from attnbench.records.run import Run
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.report.tables import dataframe
from attnbench.report.tables.columns import POOLED_COLUMNS
from attnbench.report.tables.dataframe import ONE, Row
from attnbench.report.tables.figures.timed import PARTS
from attnbench.report.tables.run import LoadedRun, Runs
from attnbench.report.tables.table import figures, interval, typed
from attnbench.stats import between_runs, ratios
from attnbench.stats.interval import Interval
from attnbench.stats.quantities.joules import as_energy
from attnbench.stats.replicates import Replicates, alike
from attnbench.stats.verdicts import reasons

MEANS = (
    *("latency_s", "ratio", "device_latency_s", "device_ratio", "energy_j", "energy_ratio"),
    *("images_per_s", "device_images_per_s"),
    *(f"{part}_ratio" for part in PARTS),
)
"""Figures with intervals of which the mean over the runs is taken, with their rounds'."""

SUMS = ("rounds", "outliers", "processes", "energy_windows", "energy_apart")
LEVELS = ("ratio_rounds", "ratio_processes")
"""What the levels within a run leave open: of a mean of independent runs, less."""

MEANS_ALONE = ("issued_share", "power_w", *(f"{part}_s" for part in PARTS))


@dataclass(frozen=True, kw_only=True)
class PooledRun(LoadedRun):
    """Several runs of one configuration; ``run`` is the first whose control holds.

    Counts, memory and environment are that run's. A run whose control fails is left out, unless
    all fail.
    """

    members: tuple[LoadedRun, ...]
    """Those that are taken together."""
    replicates: Replicates

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs that are taken together."""
        return self.replicates.runs

    @property
    def left_out(self) -> list[str]:
        """A sentence for each copy of one of these runs that is left out."""
        return [sentence for member in self.members for sentence in member.left_out]

    @cached_property
    def control_ratio(self) -> Interval | None:
        """The mean ratio of the plain host to itself."""
        return self.replicates.mean(CONTROL)

    @cached_property
    def control_fault(self) -> str | None:
        """Why these runs allow no verdicts, or None where their control holds."""
        return self.replicates.control_fault

    @cached_property
    def _device_replicates(self) -> Replicates:
        return Replicates(tuple(map(dataframe.device_times, self.runs)))

    @cached_property
    def device_control_ratio(self) -> Interval | None:
        """The mean ratio of the plain host to itself, of the device's own times."""
        return self._device_replicates.mean(CONTROL)

    @cached_property
    def device_control_fault(self) -> str | None:
        """Why the device's own times allow no verdicts, or None where their control holds."""
        return self._device_replicates.control_fault

    @cached_property
    def _energy_replicates(self) -> Replicates:
        with_energy = tuple(run for run in map(as_energy, self.runs) if run.rounds)
        return Replicates(with_energy or tuple(map(as_energy, self.runs)))

    @cached_property
    def energy_control_ratio(self) -> Interval | None:
        """The mean ratio of the plain host's energy to itself."""
        return self._energy_replicates.mean(CONTROL)

    @cached_property
    def energy_control_fault(self) -> str | None:
        """Why energy allows no verdicts, or None where its control holds."""
        return self._energy_replicates.control_fault

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row a variant, columns as in ``columns.POOLED_COLUMNS``."""
        frames = [member.frame.set_index("variant", drop=False) for member in self.members]
        ties = self._ties()
        rows = []
        for variant in dict.fromkeys(name for frame in frames for name in frame.index):
            known = [frame.loc[variant] for frame in frames if variant in frame.index]
            row = _first(known) | _means(known) | self._of_runs(variant, known)
            row |= self._ratio("", variant, known, self.replicates)
            row |= self._ratio("device_", variant, known, self._device_replicates)
            row |= self._ratio("energy_", variant, known, self._energy_replicates)
            row |= self._single_steps(variant)
            row |= {
                "tied_with": "",
                "tied_between_runs": json.dumps(t) if (t := ties.get(variant, [])) else "",
            }
            rows.append(row | dataframe.measured(self.run, variant))
        return typed(rows, POOLED_COLUMNS)

    def _ratio(
        self, what: str, variant: str, rows: Sequence[pd.Series[Any]], replicates: Replicates
    ) -> Row:
        """Return the mean ratio to the plain host, with its verdict and code.

        ``what``: empty for latency, ``device_`` for a device's own times, ``energy_``. As in the
        frame of one run, a module without it is untimed where others have it.
        """
        key, verdict, code = f"{what}ratio", f"{what}verdict", f"{what}code"
        intervals = [ratio for row in rows if (ratio := interval(row, key))]
        row: Row = {verdict: None, code: None}
        if variant in self.run.modules and _measured(replicates):
            row[code] = replicates.control_code if intervals else reasons.UNTIMED
        if variant == PLAIN or not intervals:
            return row | (figures(f"{key}_between_runs", ONE) if intervals else {})
        pooled = between_runs.known(intervals, self.scatter)
        if variant != CONTROL and replicates.control_fault is None:
            row |= {verdict: ratios.verdict(pooled), code: reasons.of_ratio(pooled)}
        return row | figures(f"{key}_between_runs", pooled)

    def _of_runs(self, variant: str, rows: Sequence[pd.Series[Any]]) -> Row:
        """Return of how many runs the latency is, and what these leave open."""
        intervals = [ratio for row in rows if (ratio := interval(row, "ratio"))]
        row: Row = {"runs": len(intervals)}
        if variant != PLAIN and intervals:
            row["run_to_run"] = expm1(between_runs.of_runs(intervals, self.scatter))
        return row

    def _single_steps(self, variant: str) -> Row:
        of_device = dataframe.single_steps_of([*map(dataframe.device_times, self.runs)], variant)
        return dataframe.single_steps_of(self.runs, variant) | dataframe.under_device_keys(
            of_device
        )

    def _ties(self) -> dict[str, list[str]]:
        """Return for each module those whose latency does not differ from its own significantly."""
        ties: dict[str, list[str]] = {}
        if self.control_fault is not None:
            return ties
        for one, other in combinations(self.run.modules, 2):
            known = self.replicates.intervals(one, baseline=other)
            if known and not between_runs.known(known, self.scatter).excludes_one:
                ties.setdefault(one, []).append(other)
                ties.setdefault(other, []).append(one)
        return ties


def _measured(replicates: Replicates) -> bool:
    """Return whether any variant was timed, or its energy taken, in any of the runs."""
    return any(timed.blocks for run in replicates.runs for timed in run.rounds)


def _first(rows: Sequence[pd.Series[Any]]) -> Row:
    """Return of each figure the first that there is; counts and memory do not scatter."""
    return {
        str(key): next((value for row in rows if _known(value := row[key])), None)
        for key in rows[0].index
    }


def _known(value: Any) -> bool:
    return bool(value) if isinstance(value, str) else not pd.isna(value)


def _means(rows: Sequence[pd.Series[Any]]) -> Row:
    means: Row = {}
    for key in MEANS:
        known = [value for row in rows if (value := interval(row, key))]
        means |= figures(key, between_runs.mean(known)) if known else {}
    for key in MEANS_ALONE:
        seconds = [row[key] for row in rows if not pd.isna(row[key])]
        if seconds:
            means[key] = exp(fsum(map(log, seconds)) / len(seconds))
    for key in LEVELS:
        open_ = [log1p(row[key]) for row in rows if not pd.isna(row[key])]
        means[key] = expm1(hypot(*open_) / len(open_)) if len(open_) == len(rows) else None
    return means | {key: fsum(row[key] for row in rows if not pd.isna(row[key])) for key in SUMS}


def pooled(runs: Runs, evaluations: Iterable[Evaluation] = ()) -> dict[str, LoadedRun]:
    """Return runs of networks with those of one configuration, machine and code taken together.

    ``evaluations`` are further ones that hold for all of them. Modules that ran alone stay apart.
    """
    groups: list[dict[str, LoadedRun]] = []
    for name, loaded in runs.items():
        group = next((group for group in groups if _belongs(loaded.run, group)), None)
        if group is None:
            groups.append({name: loaded})
        else:
            group[name] = loaded
    together: dict[str, LoadedRun] = {}
    for group in groups:
        name = _name(group)
        name = ", ".join(group) if name in together or name in runs.keys() - group.keys() else name
        loaded = next(iter(group.values()))
        together[name] = _as_one(group, evaluations) if len(group) > 1 else loaded
    return together


def _belongs(run: Run, group: Mapping[str, LoadedRun]) -> bool:
    return not run.case.isolated and all(alike(known.run, run) for known in group.values())


def _as_one(group: Mapping[str, LoadedRun], evaluations: Iterable[Evaluation]) -> PooledRun:
    members = {id(loaded.run): loaded for loaded in group.values()}
    replicates = Replicates.of([loaded.run for loaded in group.values()])
    kept = tuple(members[id(run)] for run in replicates.runs)
    every: list[Evaluation] = []
    for known in (*(e for loaded in group.values() for e in loaded.run.evaluations), *evaluations):
        if known not in every:
            every.append(known)
    first = replace(kept[0].run, evaluations=tuple(every))
    return PooledRun(first, kept[0].scatter, members=kept, replicates=replicates)


_REPETITION = re.compile(r"-run\d+$")


def _name(group: Iterable[str]) -> str:
    """Return what the names have in common: ``inference-float32-b1-224`` of ``...-run2``."""
    stems = {_REPETITION.sub("", name) for name in group}
    return stems.pop() if len(stems) == 1 else ", ".join(group)
