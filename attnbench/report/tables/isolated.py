"""The frame of an isolated run: how near each module comes to the machine's ceilings, and which
of them limits it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf, prod
from typing import Any

import pandas as pd

from attnbench import formatting
from attnbench.records.run import Run
from attnbench.records.variants import COPY, LAUNCH, PRODUCT, STAGES, IsolatedModule
from attnbench.report.tables.columns import KERNELS, MOVED
from attnbench.report.tables.dataframe import ONE, Row, errors, executed
from attnbench.report.tables.table import Column, figures, typed, with_doubt, with_ends, words
from attnbench.stats import ratios
from attnbench.stats.interval import Interval, change, median_interval

ELEMENT_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}

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
        "map_copies",
        "`latency_s` over the time that a large copy takes for its input's bytes.",
        "1",
        "copies of its map [95%]",
        with_doubt(formatting.with_interval),
    ),
    *_share(
        "launch",
        "Time of as many smallest operators as `kernels`, over `latency_s`; of one where the "
        "module is captured, as it is launched once.",
    ),
    *_share("bandwidth", "Time to copy as many bytes as `moved_bytes`, over `latency_s`."),
    *_share("compute", "Time of a product with as many `macs`, over `latency_s`."),
    Column(
        "bound",
        "The largest share, where the ceilings' intervals tell which; none where it is below 1/3.",
        "",
        "bound",
        words,
    ),
    Column("rounds", "Rounds in which it ran.", "1"),
    Column("error", "What failed, and why."),
)
"""The ceilings (a large copy, a large product, the smallest operator) run in the same rounds."""


def frame(run: Run) -> pd.DataFrame:
    """Return one row a module and stage; columns as in :data:`COLUMNS`, missing figures NaN."""
    rows = [_row(run, IsolatedModule(module, stage)) for module in run.modules for stage in STAGES]
    return typed(rows, COLUMNS)


def _row(run: Run, isolated: IsolatedModule) -> Row:
    variant = isolated.name
    shape, work = run.shapes.get(variant), executed(run, variant)
    row: Row = {"module": isolated.module, "stage": isolated.stage, "error": errors(run, variant)}
    if shape is not None:
        row |= dict(zip(("channels", "height", "width"), shape[1:], strict=True)) | work
    samples = ratios.seconds_per_step(run.rounds, variant)
    if not samples:
        return row
    step = median_interval(samples)
    row |= {**figures("latency_s", step), "rounds": len(samples)}
    ratio, copy = ratios.ratio(run.rounds, variant, baseline=COPY), executed(run, COPY)
    if not (shape and work and ratio and copy):
        return row
    map_bytes = prod(shape) * ELEMENT_BYTES[run.case.dtype]
    per_map = copy["moved_bytes"] / (2 * map_bytes)  # a copy reads and writes
    row |= figures("bytes_per_s", rate(work["moved_bytes"], step))
    row |= figures("map_copies", scaled(ratio, per_map))
    explained = _explained(run, work)
    shares = {ceiling: change(ratio, time) for ceiling, time in explained.items()}
    for ceiling, share in shares.items():
        row |= figures(f"{ceiling}_share", share)
    return row | {"bound": _bound(explained, shares)}


def _explained(run: Run, work: Mapping[str, int]) -> dict[str, Interval]:
    """Return the time that each ceiling alone would take for that work, in large copies."""
    explained = {}
    for name, ceiling, amount in (
        ("launch", LAUNCH, "kernels"),
        ("bandwidth", COPY, "moved_bytes"),
        ("compute", PRODUCT, "macs"),
    ):
        best = ONE if ceiling == COPY else ratios.ratio(run.rounds, ceiling, baseline=COPY)
        most = executed(run, ceiling)
        if best and most and most[amount]:
            # A captured module is launched once, as a graph, however many kernels it holds.
            done = 1 if name == "launch" and run.case.cuda_graph else work[amount]
            explained[name] = scaled(best, done / most[amount])
    return explained


def _bound(explained: Mapping[str, Interval], shares: Mapping[str, Interval]) -> str | None:
    """Return what explains most; "none" if too little, None where two could explain as much."""
    if not explained:
        return None
    first, *rest = sorted(explained, key=lambda name: explained[name].median, reverse=True)
    if shares[first].median < LEAST_SHARE:
        return "none"
    return first if all(explained[first].low > explained[name].high for name in rest) else None


def rate(amount: float, step: Interval) -> Interval:
    """Return the amount by the second, with an infinite end where that of the step is unknown."""
    high = amount / step.low if step.low > 0 else inf
    return Interval(amount / step.median, amount / step.high, high)


def scaled(interval: Interval, by: float) -> Interval:
    """Return the interval of the figure times a positive factor."""
    return Interval(interval.median * by, interval.low * by, interval.high * by)
