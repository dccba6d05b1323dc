"""Several configurations beside each other: each module's overhead in each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import pandas as pd

from attnbench import formatting
from attnbench.errors import UserError
from attnbench.formatting import title
from attnbench.records import image_size
from attnbench.records.run import Run
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.report.tables import isolated
from attnbench.report.tables.dataframe import configuration, control_fault, frame
from attnbench.report.tables.table import Table
from attnbench.stats import interval, ratios
from attnbench.stats.interval import Interval

Runs = Mapping[str, Run]
"""Several runs by the names of their folders."""


def tidy(runs: Runs) -> pd.DataFrame:
    """One row a run and variant: what the run was (``columns.CONFIGURATION``), then its columns.

    Raises:
        UserError: no runs, or modules alone beside networks, which have other columns.
    """
    if not runs:
        raise UserError("no runs")
    if len({run.case.isolated for run in runs.values()}) > 1:
        raise UserError("modules alone beside networks: their columns differ; read them apart")
    tables = []
    for name, run in runs.items():
        table = isolated.frame(run) if run.case.isolated else frame(run)
        was = pd.DataFrame([configuration(run, name)] * len(table), index=table.index)
        tables.append(pd.concat([was, table], axis="columns"))
    return pd.concat(tables, ignore_index=True)


def labels(runs: Runs) -> dict[str, str]:
    """What tells each run from the others: settings, machine, and else its folder."""
    known = {name: _facts(run) for name, run in runs.items()}
    first = next(iter(known.values()))
    differing = [key for key in first if len({str(each[key]) for each in known.values()}) > 1]
    found = {
        name: ", ".join(_named(key, each[key]) for key in differing) for name, each in known.items()
    }
    if len(set(found.values())) == len(found):
        return found
    return {name: f"{name}: {text}" if text else name for name, text in found.items()}


def _facts(run: Run) -> dict[str, object]:
    processor = run.environment.get("gpu") or run.environment.get("cpu")
    facts = {"processor": processor, "torch": run.environment.get("torch")}
    return {key: value for key, value in (asdict(run.case) | facts).items() if key != "isolated"}


def shared(runs: Runs) -> str:
    """The settings that all runs have in common, in one line."""
    first, *others = (run.case.described.split(", ") for run in runs.values())
    return ", ".join(word for word in first if all(word in each for each in others))


def grid(runs: Runs) -> Table:
    """Ratios to the plain host, one row a run; eager stands above compiled."""
    modules = tuple(dict.fromkeys(module for run in runs.values() for module in run.modules))
    headings = ("configuration", "plain (ms/image)", "control [95%]", *map(title, modules))
    rows = tuple(
        (label, *_cells(run, modules))
        for label, run in zip(labels(runs).values(), runs.values(), strict=True)
    )
    caption = "Latency over the plain host of the same configuration"
    signs = "= no significant difference, ? no verdict"
    return Table(f"{caption}; {signs}. {shared(runs)}", headings, rows)


def _named(key: str, value: object) -> str:
    """``batch 8``, ``not compiled``, ``float32``: a value that says which it is."""
    name = key.removesuffix("_size").replace("_", " ")
    if isinstance(value, bool):
        return name if value else f"not {name}"
    if key in {"dtype", "host", "mode", "device", "processor"}:
        return str(value)
    if key == "image_size":
        return f"{name} {image_size.option(value)}"  # type: ignore[arg-type]
    if isinstance(value, tuple):
        return f"{name} {' '.join(map(str, value))}"
    return f"{name} {value}"


def _cells(run: Run, modules: Sequence[str]) -> list[str]:
    samples = ratios.seconds_per_step(run.rounds, PLAIN)
    plain = interval.median_interval(samples).median / run.case.batch_size if samples else None
    failed = control_fault(run) is not None
    control = formatting.ratio(ratios.ratio(run.rounds, CONTROL))
    return [
        formatting.thousandths(plain),
        f"{control} FAILED" if failed else control,
        *(_ratio(ratios.ratio(run.rounds, module), verdicts=not failed) for module in modules),
    ]


def _ratio(ratio: Interval | None, *, verdicts: bool) -> str:
    shown = formatting.ratio(ratio)
    if ratio is None or (verdicts and ratio.excludes_one):
        return shown
    mark = "=" if verdicts else "?"
    if isinstance(shown, formatting.IntervalText):
        return formatting.IntervalText(f"{mark} {shown}", f"{mark} {shown.plus_minus}")
    return f"{mark} {shown}"
