"""The runs and evaluations in folders, each file read once; runs as a tidy DataFrame."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from pathlib import Path

import pandas as pd

from attnbench.errors import UserError
from attnbench.files import resolved
from attnbench.records import evaluation, precision, run, store
from attnbench.records.evaluation import Evaluation
from attnbench.records.precision import Precision
from attnbench.records.trainings import store as training_store
from attnbench.report.tables.grid import tidy
from attnbench.report.tables.pooled import pooled
from attnbench.report.tables.run import LoadedRun, Runs
from attnbench.stats.gains import Gains, each_metric
from attnbench.stats.replicates import originals


@dataclass(frozen=True)
class Loaded:
    """What folders hold: runs by their folders, and evaluations that lie beside none of them."""

    folders: Sequence[Path]
    runs: Mapping[Path, LoadedRun]
    evaluations: Sequence[Evaluation]
    trainings: Sequence[Gains] = ()
    """Each file of trainings and metric, with the gains that are derived from it."""
    precisions: Sequence[Precision] = ()
    """Of detectors with given weights."""

    @property
    def single(self) -> bool:
        """Whether there is one run, given by its own folder."""
        return len(self.runs) == 1 and set(self.runs) <= set(self.folders)

    @cached_property
    def pooled(self) -> Runs:
        """The runs, those of one configuration taken together, with what was evaluated for all."""
        if self.single:
            return self.named
        return pooled(self.named, self.evaluations)

    @property
    def named(self) -> Runs:
        """The runs by their folders' names; by whole paths where these lie in several places."""
        within = self.folders[0] if len(self.folders) == 1 else None
        return {
            path.name if within in (path, path.parent) else path.as_posix(): loaded
            for path, loaded in self.runs.items()
        }


def load(*folders: Path, scatter: float | None = None) -> Loaded:
    """Read every run in those folders: of a run, of several, of evaluations or of trainings.

    ``scatter`` is the standard deviation of log-ratios between runs, until enough of them show it;
    by default that of ``stats.between_runs``.

    Raises:
        UserError: a folder without any, or with one that cannot be read; a run given twice.
    """
    paths: list[Path] = []
    evaluations: dict[Path, tuple[Evaluation, ...]] = {}
    trainings: dict[Path, list[Gains]] = {}
    precisions: dict[Path, tuple[Precision, ...]] = {}
    for folder in folders:
        inside: list[Path] = []
        with suppress(OSError):
            inside = sorted(place for place in folder.iterdir() if place.is_dir())
        places = [place for place in (folder, *inside) if not store.holds_a_file(place)]
        apart = {resolved(place): evaluation.read(place) for place in places}
        trained = training_store.in_folder(folder)
        trainings |= {resolved(place): each_metric(known) for place, known in trained.items()}
        precise = {resolved(place): precision.read(place) for place in (folder, *inside)}
        others = any(apart.values()) or trained or any(precise.values())
        paths += store.runs_in(folder) or ([] if others else [folder])
        evaluations |= apart
        precisions |= precise
    if len({resolved(path) for path in paths}) < len(paths):
        raise UserError("a run was given twice")
    found = {path: run.read(path) for path in paths}
    runs = {
        path: LoadedRun(found[path], scatter, _named(path, copies))
        for path, copies in originals(found).items()
    }
    apart_from_runs = [known for place in evaluations.values() for known in place]
    return Loaded(
        folders,
        runs,
        apart_from_runs,
        [gains for place in trainings.values() for gains in place],
        [known for place in precisions.values() for known in place],
    )


def _named(original: Path, copies: Sequence[Path]) -> tuple[str, ...]:
    """Return the names of copies: of their folders, or whole paths where all have one name."""
    return tuple(copy.as_posix() if copy.name == original.name else copy.name for copy in copies)


def read(*folders: str | PathLike[str]) -> pd.DataFrame:
    """Return the records of runs as a tidy table: one row a variant and run, raw, in base units.

    Columns are defined in ``docs/reference.md``: those of the configuration, then those of
    ``comparison.csv``. Missing figures are NaN. Does not import torch.

    Text is as the records have it: a foreign name or message may hold control characters, or what
    a spreadsheet takes for a formula. Files and terminal output of the suite show it escaped.

    A copy of a run is no second measurement: it is left out with a warning.

    Raises:
        UserError: no run there, records that cannot be read, or isolated runs beside networks
            that were each named. Isolated ones in a folder of others are left out with a warning.
    """
    paths = [Path(folder) for folder in folders]
    loaded = load(*paths)
    for known in loaded.runs.values():
        for sentence in known.left_out:
            warnings.warn(sentence.removesuffix("."), stacklevel=2)
    alone = [path for path, known in loaded.runs.items() if known.run.case.isolated]
    if len(alone) < len(loaded.runs):
        left_out = [path for path in alone if path not in paths]
        for path in left_out:
            warnings.warn(f"{path} is left out: its modules ran alone; read it apart", stacklevel=2)
        kept = {path: known for path, known in loaded.runs.items() if path not in left_out}
        loaded = replace(loaded, runs=kept)
    if paths and not loaded.runs:
        raise UserError(f"no run in {paths[0]}, but evaluations: they are evaluations.jsonl there")
    return tidy(loaded.named)
