"""Every column of a run's table: its unit, what it means, and how tables print it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from math import isnan
from typing import Any

import pandas as pd

from attnbench import formatting
from attnbench.formatting import joined, title
from attnbench.records.case import CASE_OPTIONS
from attnbench.records.variants import PLAIN
from attnbench.report.tables.table import Cell, Column
from attnbench.stats.interval import Interval


def interval(row: pd.Series[Any], key: str, low: str, high: str) -> Interval | None:
    """The interval that three columns hold, or None where there is no figure."""
    return None if isnan(row[key]) else Interval(row[key], row[low], row[high])


def words(key: str) -> Cell:
    """A cell of text; a dash where there is none."""
    return lambda row: row[key] if isinstance(row[key], str) and row[key] else formatting.NOTHING


def listed(names: Sequence[str]) -> str:
    """Names in one cell, as a list of JSON: a name may hold whatever could stand between two."""
    return json.dumps(names, ensure_ascii=False) if names else ""


def _titles(key: str) -> Cell:
    def show(row: pd.Series[Any]) -> str:
        if not (isinstance(row[key], str) and row[key]):
            return formatting.NOTHING
        return joined(map(title, json.loads(row[key])))

    return show


def doubted(key: str, show: Callable[[Interval | None], str], unit: str = "") -> Cell:
    """A cell with the interval of ``key_low`` and ``key_high``; a unit stands last in all three."""
    base = key.removesuffix(f"_{unit}") if unit else key
    end = f"_{unit}" if unit else ""
    return lambda row: show(interval(row, key, f"{base}_low{end}", f"{base}_high{end}"))


def whole(key: str, *, signed: bool = False) -> Cell:
    """A cell with a count."""
    return lambda row: formatting.whole(row[key], signed=signed)


def mebibytes(key: str, *, signed: bool = False) -> Cell:
    """A cell with bytes."""
    return lambda row: formatting.mebibytes(row[key], signed=signed)


def fraction(key: str) -> Cell:
    """A cell with a ratio of exact figures."""
    return lambda row: formatting.fraction(row[key])


def ratio(key: str) -> Cell:
    """A cell with a measured ratio; that of the plain host to itself is 1 by definition."""
    measured = doubted(key, formatting.ratio)

    def show(row: pd.Series[Any]) -> str:
        if row["variant"] == PLAIN:
            return "1" if row["rounds"] > 0 else formatting.NOTHING
        return measured(row)

    return show


LOW = "Lower end of its 95% interval."
HIGH = "Upper end of its 95% interval."
OVER_PLAIN = "`{}` over the plain host's."
LESS_PLAIN = "`{}` less the plain host's."

RULES = ("macs", "leaf", "thop", "fvcore")
"""The rules of counting that tables show, in their order."""

PARTS = ("forward", "backward", "optimizer")
"""The parts of a training step, in their order."""


def _operations(rule: str) -> Iterator[Column]:
    key, added = f"{rule}_operations", f"added_{rule}_operations"
    yield Column(
        key,
        f"Operations for one image under the rule `{rule}`.",
        "1",
        f"{rule} (G)",
        lambda row: formatting.giga(row[key]),
    )
    yield Column(
        added,
        LESS_PLAIN.format(key),
        "1",
        f"added {rule} (M)",
        lambda row: formatting.mega(row[added], signed=True),
    )


def _part(part: str) -> Iterator[Column]:
    key = f"{part}_s"
    yield Column(
        key,
        f"Training: median seconds of the {part} of one step, for one image.",
        "s",
        f"{part} (ms/image)",
        lambda row: formatting.thousandths(row[key]),
    )
    name = f"{part}_ratio"
    yield Column(
        name, f"As `ratio`, for the {part} alone.", "1", f"{part} ratio [95%]", ratio(name)
    )
    yield Column(f"{name}_low", LOW, "1")
    yield Column(f"{name}_high", HIGH, "1")


def _peak(key: str, meaning: str, heading: str) -> Iterator[Column]:
    yield Column(f"{key}_bytes", meaning, "byte", f"{heading} (MiB)", mebibytes(f"{key}_bytes"))
    yield Column(
        f"{key}_ratio",
        OVER_PLAIN.format(f"{key}_bytes"),
        "1",
        f"{heading} ratio",
        fraction(f"{key}_ratio"),
    )


CONFIGURATION = (
    Column("run", "The run's folder."),
    *(Column(name, option.meaning, option.unit) for name, option in CASE_OPTIONS.items()),
    Column("processor", "The GPU's name, or the CPU's."),
    Column("torch", "Its version."),
    Column("time", "When the run began."),
    Column("control_fault", "Why there are no verdicts; empty where the control holds."),
)
"""What `attnbench.read` and `grid.csv` put before the columns of a run."""

COLUMNS = (
    Column("variant", "A module in the host; `plain` is the host alone, `control` the same again."),
    Column("params", "Learnable parameters, exact.", "1", "parameters", whole("params")),
    Column(
        "added_params",
        LESS_PLAIN.format("params"),
        "1",
        "added parameters",
        whole("added_params", signed=True),
    ),
    Column("thop_params", "Parameters that thop reports; it misses bare ones.", "1"),
    *(column for rule in RULES for column in _operations(rule)),
    Column(
        "kernels",
        "Operators of one forward that launch work, under the rule `executed`.",
        "1",
        "kernels",
        whole("kernels"),
    ),
    Column(
        "added_kernels",
        LESS_PLAIN.format("kernels"),
        "1",
        "added kernels",
        whole("added_kernels", signed=True),
    ),
    Column(
        "moved_bytes",
        "Bytes that these read and write, each tensor once an operator.",
        "byte",
        "moved (MiB)",
        mebibytes("moved_bytes"),
    ),
    Column(
        "added_moved_bytes",
        LESS_PLAIN.format("moved_bytes"),
        "byte",
        "added moved (MiB)",
        mebibytes("added_moved_bytes", signed=True),
    ),
    Column(
        "latency_s",
        "Median over rounds of the seconds of one step, for one image.",
        "s",
        "latency (ms/image) [95%]",
        doubted("latency_s", formatting.milliseconds, "s"),
    ),
    Column("latency_low_s", LOW, "s"),
    Column("latency_high_s", HIGH, "s"),
    Column(
        "ratio",
        "exp of the median over rounds of log(step / plain step of the same round).",
        "1",
        "latency ratio [95%]",
        ratio("ratio"),
    ),
    Column("ratio_low", f"{LOW.removesuffix('.')} (`attnbench/statistics.py` says how).", "1"),
    Column("ratio_high", HIGH, "1"),
    Column("rounds", "Rounds in which the variant ran.", "1"),
    Column(
        "outliers",
        "Rounds in which its ratio lies beyond Tukey's outer fences; all kept.",
        "1",
        "outliers",
        whole("outliers"),
    ),
    *(column for part in PARTS for column in _part(part)),
    Column(
        "compile_s",
        "Compiled: seconds from nothing to the first answer, compiling included.",
        "s",
        "compiled in (s)",
        lambda row: formatting.tenths(row["compile_s"]),
    ),
    Column(
        "verdict",
        "slower, faster, no significant difference; empty where the control fails.",
        "",
        "verdict",
        words("verdict"),
    ),
    Column(
        "tied_with",
        "Modules to which its ratio, within the rounds of this run, has an interval that holds 1; "
        "a list in JSON, as a name may hold commas.",
        "",
        "tied with",
        _titles("tied_with"),
    ),
    *_peak(
        "peak_live",
        "Most bytes that one step creates and holds at once; deterministic.",
        "live peak",
    ),
    *_peak(
        "peak_resident",
        "CPU: the process's peak resident size, libraries included.",
        "resident peak",
    ),
    *_peak(
        "peak_allocated_above",
        "CUDA: most bytes in tensors and libraries' workspaces, less those before the step.",
        "allocated peak",
    ),
    *_peak(
        "peak_reserved_above",
        "CUDA: most bytes the allocator held, less those before.",
        "reserved peak",
    ),
    *_peak(
        "peak_reserved", "CUDA: most bytes that the allocator held, network included.", "held peak"
    ),
    Column(
        "published_top1",
        "Top-1 on ImageNet as `published_recipe` states it; never measured here. Only where the "
        "run is of 224x224 and the module in every block.",
        "percent",
        "published top-1 (%)",
        lambda row: formatting.hundredths(row["published_top1"]),
    ),
    Column(
        "published_recipe",
        "The one source of `published_top1`, and how it trained; the one with most of the run's "
        "modules.",
    ),
    Column(
        "measured_top1",
        "Top-1 of weights evaluated here (below) on images of the run's size; empty where there "
        "are none, or several, or the module is not in every block.",
        "percent",
    ),
    Column("measured_top1_low", LOW, "percent"),
    Column("measured_top1_high", HIGH, "percent"),
    Column("measured_top5", "Top-5 of the same.", "percent"),
    Column("measured_top5_low", LOW, "percent"),
    Column("measured_top5_high", HIGH, "percent"),
    Column("measured_on", "The folder of images of `measured_top1`, and the file of weights."),
    Column("error", "What failed, and why."),
)

WORDS = ("variant", "verdict", "tied_with", "published_recipe", "measured_on", "error")
"""The columns of text; all others are numbers."""
