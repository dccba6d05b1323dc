"""The frame of an isolated run: how near each module comes to the machine's ceilings, and which
of them limits it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from math import inf, prod
from typing import Any

import pandas as pd

from attnbench import formatting
from attnbench.records.run import Run
from attnbench.records.variants import (
    COPY,
    LAUNCH,
    PRODUCT,
    STAGES,
    IsolatedModule,
    map_copy,
    map_of,
)
from attnbench.report import unknown_operators
from attnbench.report.tables.dataframe import Row, errors, executed
from attnbench.report.tables.figures.counted import KERNELS, MOVED
from attnbench.report.tables.table import (
    TOO_LOW,
    UNKNOWN_OPERATORS,
    Column,
    figures,
    typed,
    with_doubt,
    with_ends,
    words,
)
from attnbench.stats import ratios
from attnbench.stats.interval import Interval, median_interval

ELEMENT_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}

TOO_LOW_ALONE = (
    *("kernels", "moved_bytes", "macs", "bytes_per_s"),
    *("launch_share", "bandwidth_share", "compute_share"),
)
"""Columns of a module alone whose figures may be larger, where unknown operators ran."""

LEAST_SHARE = 1 / 3
"""Of a module's time, for a ceiling to be called its bound."""


def _input(row: pd.Series[Any], _: str) -> str:
    size = [row[key] for key in ("channels", "height", "width") if not pd.isna(row[key])]
    return "x".join(f"{length:.0f}" for length in size) or formatting.NOTHING


def _share(ceiling: str, meaning: str) -> Iterator[Column]:
    heading = f"{ceiling} [95%]"
    return with_ends(f"{ceiling}_share", meaning, "1", heading, with_doubt(formatting.share))


COLUMNS = (
    Column("module", "The attention module."),
    Column("stage", "1 to 4: it stands as in the last block of this stage of the host.", "1"),
    Column("channels", "Of its input.", "1", "input", _input),
    Column("height", "Of its input.", "pixel"),
    Column("width", "Of its input.", "pixel"),
    KERNELS,
    MOVED,
    Column("macs", "Multiply-accumulates of one forward, under the rule `executed`.", "1"),
    *with_ends(
        "latency_s",
        "Median over rounds of the seconds of one forward of the whole batch.",
        "s",
        "latency (us/batch) [95%]",
        with_doubt(formatting.microseconds),
    ),
    *with_ends(
        "bytes_per_s",
        "`moved_bytes` over `latency_s`.",
        "byte/s",
        "GB/s [95%]",
        with_doubt(formatting.giga_with_doubt),
    ),
    *with_ends(
        "copy_bytes_per_s",
        "Bytes a second that a copy of its input reads and writes.",
        "byte/s",
        "copy of its map (GB/s) [95%]",
        with_doubt(formatting.giga_with_doubt),
    ),
    Column(
        "memory_bytes_per_s",
        "Bytes a second that a large copy reads and writes, of more than most caches hold.",
        "byte/s",
    ),
    *with_ends(
        "map_copies",
        "`latency_s` over the time of a copy of its input in the same rounds.",
        "1",
        "copies of its map [95%]",
        with_doubt(formatting.with_interval),
    ),
    *_share(
        "launch",
        "Time of as many smallest operators as `kernels`, over `latency_s`; of one where the "
        "module is captured, as it is launched once.",
    ),
    *_share(
        "bandwidth",
        "Time in which a copy of its input would move `moved_bytes`, over `latency_s`.",
    ),
    *_share("compute", "Time of a product with as many `macs`, over `latency_s`."),
    Column(
        "bound",
        "The largest share, where the ceilings' intervals tell which and all operators are known; "
        "none where it is below 1/3.",
        "",
        "bound",
        words,
    ),
    Column("rounds", "Rounds in which it ran.", "1"),
    TOO_LOW,
    UNKNOWN_OPERATORS,
    Column("error", "What failed, and why."),
)
"""The ceilings (a copy of its input, a large product, the smallest operator) run in the same
rounds, and shares are medians of ratios within a round. Runs without copies of the inputs have a
large copy in their place, which a map that fits into a cache can outrun."""


def frame(run: Run) -> pd.DataFrame:
    """Return one row a module and stage; columns as in :data:`COLUMNS`, missing figures NaN."""
    rows = [_row(run, IsolatedModule(module, stage)) for module in run.modules for stage in STAGES]
    return typed(rows, COLUMNS)


def _row(run: Run, isolated: IsolatedModule) -> Row:
    variant = isolated.name
    shape, work = run.shapes.get(variant), executed(run, variant)
    row: Row = {"module": isolated.module, "stage": isolated.stage, "error": errors(run, variant)}
    unknown = unknown_operators.unknown(run, variant)
    row["too_low"] = json.dumps(TOO_LOW_ALONE) if unknown else ""
    row["unknown_operators"] = unknown_operators.written(unknown)
    if shape is not None:
        row |= dict(zip(("channels", "height", "width"), shape[1:], strict=True)) | work
    samples = ratios.seconds_per_step(run.rounds, variant)
    if not samples:
        return row
    step = median_interval(samples)
    row |= {**figures("latency_s", step), "rounds": len(samples)}
    if not (shape and work):
        return row
    row |= figures("bytes_per_s", rate(work["moved_bytes"], step))
    ceiling = bandwidth_ceiling(run, shape)
    if memory := ceiling_rate(run, COPY, "moved_bytes"):
        row["memory_bytes_per_s"] = memory.median
    if ceiling != COPY and (copied := ceiling_rate(run, ceiling, "moved_bytes")):
        row |= figures("copy_bytes_per_s", copied)
    ratio, copy = ratios.ratio(run.rounds, variant, baseline=ceiling), executed(run, ceiling)
    if ratio and copy:
        map_bytes = prod(shape) * ELEMENT_BYTES[run.case.dtype]
        row |= figures("map_copies", scaled(ratio, copy["moved_bytes"] / (2 * map_bytes)))
    limits = _limits(run, work, ceiling)
    shares = _over(run, limits, variant, 1.0)
    for name, share in shares.items():
        row |= figures(f"{name}_share", share)
    return row | {"bound": None if unknown else _bound(run, limits, shares)}


def bandwidth_ceiling(run: Run, shape: tuple[int, ...]) -> str:
    """Return the variant whose rate of bytes is the ceiling of a module with inputs of a shape."""
    seen = map_copy((shape[1], shape[2], shape[3]))
    return seen if seen in run.plan.variants else COPY


def ceiling_rate(run: Run, ceiling: str, amount: str) -> Interval | None:
    """Return how much of an amount a ceiling does a second; None where it was not timed."""
    samples, work = ratios.seconds_per_step(run.rounds, ceiling), executed(run, ceiling)
    return rate(work[amount], median_interval(samples)) if samples and work else None


def map_copies(run: Run) -> tuple[str, ...]:
    """Return the variants that copy maps, the baseline first and without its control."""
    named = (name for name in run.plan.variants if map_of(name) is not None)
    return tuple(name for name in named if name != run.plan.control)


Limits = Mapping[str, tuple[str, float]]
"""Ceiling -> its variant, and how many of its steps make a module's work."""


def _limits(run: Run, work: Mapping[str, int], copy: str) -> Limits:
    """Return the ceilings of that work that were counted."""
    limits = {}
    for name, variant, amount in (
        ("launch", LAUNCH, "kernels"),
        ("bandwidth", copy, "moved_bytes"),
        ("compute", PRODUCT, "macs"),
    ):
        most = executed(run, variant)
        if most and most[amount]:
            # A captured module is launched once, as a graph, however many kernels it holds.
            done = 1 if name == "launch" and run.case.cuda_graph else work[amount]
            limits[name] = variant, done / most[amount]
    return limits


def _over(run: Run, limits: Limits, variant: str, steps: float) -> dict[str, Interval]:
    """Return each ceiling's time over that of so many steps of a variant in the same rounds."""
    over = {}
    for name, (ceiling, needed) in limits.items():
        if ratio := ratios.ratio(run.rounds, ceiling, baseline=variant):
            over[name] = scaled(ratio, needed / steps)
    return over


def _bound(run: Run, limits: Limits, shares: Mapping[str, Interval]) -> str | None:
    """Return what explains most; "none" if too little, None where two could explain as much."""
    if not shares:
        return None
    first = max(shares, key=lambda name: shares[name].median)
    if shares[first].median < LEAST_SHARE:
        return "none"
    variant, needed = limits[first]
    others = {name: limits[name] for name in shares if name != first and limits[name][1]}
    over = _over(run, others, variant, needed)
    return first if all(share.high < 1 for share in over.values()) else None


def rate(amount: float, step: Interval) -> Interval:
    """Return the amount by the second, with an infinite end where that of the step is unknown."""
    high = amount / step.low if step.low > 0 else inf
    return Interval(amount / step.median, amount / step.high, high)


def scaled(interval: Interval, by: float) -> Interval:
    """Return the interval of the figure times a factor, at least 0."""
    if by == 0:  # an end may be infinite
        return Interval(0.0, 0.0, 0.0)
    return Interval(interval.median * by, interval.low * by, interval.high * by)
