"""Several configurations beside each other: each module's overhead in each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd

from attnbench import statistics, units
from attnbench.records import CONTROL, PLAIN
from attnbench.runs import Run
from attnbench.statistics import Interval

from .frame import frame
from .sheets import Sheet, fault, title


def tidy(runs: Sequence[Run]) -> pd.DataFrame:
    """One row a configuration and variant: the configuration's columns, then those of a run."""
    tables = []
    for run in runs:
        table = frame(run)
        for place, (key, value) in enumerate(asdict(run.case).items()):
            table.insert(place, key, value)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def grid(runs: Sequence[Run]) -> Sheet:
    """Ratios to the plain host, one row a configuration; eager stands above compiled."""
    modules = tuple(dict.fromkeys(module for run in runs for module in run.modules))
    headings = ("configuration", "plain (ms/image)", "control", *map(title, modules))
    cases = [asdict(run.case) for run in runs]
    differing = [key for key in cases[0] if len({case[key] for case in cases}) > 1]
    rows = tuple(
        (", ".join(_named(key, case[key]) for key in differing), *_cells(run, modules))
        for case, run in zip(cases, runs, strict=True)
    )
    words = [run.case.described.split(", ") for run in runs]
    shared = [word for word in words[0] if all(word in each for each in words)]
    caption = "Latency over the plain host of the same configuration"
    signs = "= cannot be told apart, ? no verdict"
    return Sheet(f"{caption}; {signs}. {', '.join(shared)}", headings, rows)


def _named(key: str, value: object) -> str:
    """``batch 8``, ``not compiled``, ``float32``: a value that says which it is."""
    name = key.removesuffix("_size").replace("_", " ")
    if isinstance(value, bool):
        return name if value else f"not {name}"
    return value if isinstance(value, str) else f"{name} {value}"


def _cells(run: Run, modules: Sequence[str]) -> list[str]:
    samples = statistics.seconds_per_step(run.rounds, PLAIN)
    plain = statistics.median_interval(samples).median / run.case.batch_size if samples else None
    failed = fault(run) is not None
    control = units.ratio(statistics.ratio(run.rounds, CONTROL))
    return [
        units.thousandths(plain),
        f"{control} FAILED" if failed else control,
        *(_ratio(statistics.ratio(run.rounds, module), verdicts=not failed) for module in modules),
    ]


def _ratio(ratio: Interval | None, *, verdicts: bool) -> str:
    if ratio is None or (verdicts and ratio.excludes_one):
        return units.ratio(ratio)
    return f"{'=' if verdicts else '?'} {units.ratio(ratio)}"
