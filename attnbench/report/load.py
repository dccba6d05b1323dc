"""The runs in folders, and their tidy table."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import pandas as pd

from attnbench.errors import UserError
from attnbench.records import evaluation, store
from attnbench.records import run as runs
from attnbench.records.evaluation import Evaluation
from attnbench.records.run import Run
from attnbench.report.tables.grid import tidy


def found(*folders: Path) -> dict[Path, Run]:
    """Every run in those folders, each of which is a run's, holds such, or has evaluations alone.

    Raises:
        UserError: a folder without any, or with one that cannot be read; a run given twice.
    """
    paths = [
        each
        for folder in folders
        for each in store.runs_in(folder) or ([] if apart(folder) else [folder])
    ]
    if len({path.resolve() for path in paths}) < len(paths):
        raise UserError("a run was given twice")
    return {path: runs.read(path) for path in paths}


def apart(*folders: Path) -> list[Evaluation]:
    """The evaluations in those folders, and in the folders in them, that lie beside no run.

    Raises:
        UserError: evaluations that cannot be read.
    """
    places = {
        place.resolve(): place
        for folder in folders
        for place in (folder, *_inside(folder))
        if not store.holds_a_file(place)
    }
    return [each for place in places.values() for each in evaluation.read(place)]


def _inside(folder: Path) -> list[Path]:
    try:
        return sorted(each for each in folder.iterdir() if each.is_dir())
    except OSError:
        return []


def named(read: dict[Path, Run], within: Path | None) -> dict[str, Run]:
    """The runs by their folders' names, in full where these lie in different places."""
    return {
        path.name if within in (path, path.parent) else path.as_posix(): run
        for path, run in read.items()
    }


def read(*folders: str | PathLike[str]) -> pd.DataFrame:
    """The records of runs as a tidy table: one row a variant and run, raw and in base units.

    Columns are defined in ``docs/reference.md``: those of the configuration, then those of
    ``comparison.csv``. Missing figures are NaN. Does not import torch.

    Raises:
        UserError: no run there, records that cannot be read, or modules alone beside networks.
    """
    paths = [Path(each) for each in folders]
    its_runs = found(*paths)
    if paths and not its_runs:
        raise UserError(f"no run in {paths[0]}, but evaluations: they are evaluations.jsonl there")
    return tidy(named(its_runs, paths[0] if len(paths) == 1 else None))
