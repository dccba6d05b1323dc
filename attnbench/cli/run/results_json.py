"""What ``run --format json`` prints: figures in base units, with their intervals."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnbench.records.run import Run
from attnbench.records.schema import Failure
from attnbench.stats.interval import Interval
from attnbench.stats.replicates import began, control_fault

if TYPE_CHECKING:
    import pandas as pd

    from attnbench.report.load import Loaded
    from attnbench.report.tables.run import LoadedRun
    from attnbench.report.tables.table import Column

LISTS = {"tied_with", "tied_between_runs", "published_by_recipe"}
"""Columns of JSON."""


def measured(loaded: Loaded, folder: Path, left_out: Mapping[str, str]) -> dict[str, object]:
    """Return all that was measured; runs of one configuration are taken together."""
    folders = {id(known.run): path for path, known in loaded.runs.items()}
    return {
        "folder": str(folder),
        "finished": all(known.run.finished for known in loaded.runs.values()),
        "left_out": dict(left_out),
        "configurations": [
            _configuration(known, _runs_of(known), folders) for known in loaded.pooled.values()
        ],
    }


def _runs_of(loaded: LoadedRun) -> list[Run]:
    from attnbench.report.tables.pooled import PooledRun

    apart = loaded.replicates.left_out if isinstance(loaded, PooledRun) else ()
    return [*loaded.runs, *(run for run, _ in apart)]


def _configuration(
    loaded: LoadedRun, runs: Sequence[Run], folders: Mapping[int, Path]
) -> dict[str, object]:
    from attnbench.report.tables import columns, isolated

    case = loaded.run.case
    known = isolated.COLUMNS if case.isolated else columns.POOLED_COLUMNS
    return {
        "configuration": case.described,
        "case": asdict(case),
        "runs": [
            {
                "folder": str(folders[id(run)]) if id(run) in folders else None,
                "began": began(run),
                "finished": run.finished,
                "rounds": len(run.rounds),
                "control_fault": control_fault(run),
                "failures": {
                    variant: {step: f"{failed.type}: {failed.message}" for step, failed in steps}
                    for variant, steps in _failures(run)
                },
            }
            for run in runs
        ],
        "control": _interval(loaded.control_ratio, "1"),
        "control_fault": loaded.control_fault,
        "variants": [_variant(row, known) for _, row in loaded.frame.iterrows()],
    }


def _variant(row: pd.Series[Any], columns: Sequence[Column]) -> dict[str, object]:
    """Return the row by columns: figures as objects, text as it is; what is missing is left out."""
    from attnbench.report.tables.table import ends_of, interval

    shown: dict[str, object] = {}
    keys = {column.key for column in columns}
    ends = {end for key in keys for end in ends_of(key)}
    for column in columns:
        key = column.key
        value: Any = row.get(key)
        if key in ends or not _known(value):
            continue
        if not column.unit:
            shown[key] = json.loads(value) if key in LISTS else value
        elif keys >= set(ends_of(key)):
            shown[key] = _interval(interval(row, key), column.unit)
        else:
            shown[key] = {"value": _plain(value), "unit": column.unit}
    return shown


def _known(value: object) -> bool:
    return value is not None and value != "" and not (isinstance(value, float) and isnan(value))


def _failures(run: Run) -> Iterator[tuple[str, list[tuple[str, Failure]]]]:
    for variant, steps in run.failures.items():
        yield variant, list(steps.items())


def _interval(known: Interval | None, unit: str) -> dict[str, object] | None:
    if known is None:
        return None
    return {"value": known.median, "low": known.low, "high": known.high, "unit": unit}


def _plain(value: float) -> float | int:
    return int(value) if float(value).is_integer() else float(value)
