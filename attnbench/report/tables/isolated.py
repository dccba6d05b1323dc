"""Modules alone: how near each comes to what the machine can do, and what holds it back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import inf, prod
from typing import Any

import pandas as pd

from attnbench import formatting
from attnbench.formatting import title
from attnbench.records.run import Run
from attnbench.records.variants import COPY, LAUNCH, PRODUCT, STAGES, IsolatedModule
from attnbench.report.tables.columns import HIGH, LOW, doubted, mebibytes, whole, words
from attnbench.report.tables.dataframe import Row, control_fault
from attnbench.report.tables.table import Column, Table, printed
from attnbench.stats import interval as statistics
from attnbench.stats import ratios
from attnbench.stats.interval import Interval

ELEMENT_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}

LEAST_SHARE = 1 / 3
"""Of a piece's time, for a ceiling to be called its bound."""

ONE = Interval(1.0, 1.0, 1.0)


def _input(row: pd.Series[Any]) -> str:
    size = [row[key] for key in ("channels", "height", "width") if not pd.isna(row[key])]
    return "x".join(f"{each:.0f}" for each in size) or formatting.NOTHING


def _share(ceiling: str, meaning: str) -> Iterator[Column]:
    key = f"{ceiling}_share"
    yield Column(key, meaning, "1", f"{ceiling} [95%]", doubted(key, formatting.share))
    yield Column(f"{key}_low", LOW, "1")
    yield Column(f"{key}_high", HIGH, "1")


COLUMNS = (
    Column("module", "The attention module."),
    Column("stage", "1 to 4: it stands as in the last block of this stage of the host.", "1"),
    Column("channels", "Of its input.", "1", "input", _input),
    Column("height", "Of its input.", "pixel"),
    Column("width", "Of its input.", "pixel"),
    Column(
        "kernels",
        "Operators of one forward that launch work, under the rule `executed`.",
        "1",
        "kernels",
        whole("kernels"),
    ),
    Column(
        "moved_bytes",
        "Bytes that these read and write, each tensor once an operator.",
        "byte",
        "moved (MiB)",
        mebibytes("moved_bytes"),
    ),
    Column("macs", "Multiply-accumulates of one forward, under the rule `executed`.", "1"),
    Column(
        "latency_s",
        "Median over rounds of the seconds of one forward of the whole batch.",
        "s",
        "latency (us/batch) [95%]",
        doubted("latency_s", formatting.microseconds, "s"),
    ),
    Column("latency_low_s", LOW, "s"),
    Column("latency_high_s", HIGH, "s"),
    Column(
        "bytes_per_s",
        "`moved_bytes` over `latency_s`.",
        "byte/s",
        "GB/s [95%]",
        doubted("bytes_per_s", formatting.giga_with_doubt),
    ),
    Column("bytes_per_s_low", LOW, "byte/s"),
    Column("bytes_per_s_high", HIGH, "byte/s"),
    Column(
        "map_copies",
        "`latency_s` over the time that a large copy takes for its input's bytes.",
        "1",
        "copies of its map [95%]",
        doubted("map_copies", formatting.tenths_with_doubt),
    ),
    Column("map_copies_low", LOW, "1"),
    Column("map_copies_high", HIGH, "1"),
    *_share("launch", "Time of as many smallest operators as `kernels`, over `latency_s`."),
    *_share("bandwidth", "Time to copy as many bytes as `moved_bytes`, over `latency_s`."),
    *_share("compute", "Time of a product with as many `macs`, over `latency_s`."),
    Column(
        "bound",
        "The largest share, where the ceilings' intervals tell which; none where it is below 1/3.",
        "",
        "bound",
        words("bound"),
    ),
    Column("rounds", "Rounds in which it ran.", "1"),
    Column("error", "What failed, and why."),
)
"""The ceilings (a large copy, a large product, the smallest operator) run in the same rounds."""

REACHED = ("channels", "kernels", "moved_bytes", "latency_s", "bytes_per_s", "map_copies")
EXPLAINED = ("channels", "launch_share", "bandwidth_share", "compute_share", "bound")
"""The columns of each printed table."""

TOP = ("channels", "latency_s", "bound", "bytes_per_s", "map_copies", "kernels", "moved_bytes")
"""The columns of the table at the top of a page."""


def frame(run: Run) -> pd.DataFrame:
    """One row a module and stage, columns as in :data:`COLUMNS`, missing figures as NaN."""
    rows = [_row(run, IsolatedModule(module, stage)) for module in run.modules for stage in STAGES]
    table = pd.DataFrame(rows, columns=[column.key for column in COLUMNS])
    return table.astype(dict.fromkeys(table.columns.drop(["module", "bound", "error"]), float))


def _row(run: Run, piece: IsolatedModule) -> Row:
    failures = run.failures.get(piece.name, {}).items()
    row: Row = {
        "module": piece.module,
        "stage": piece.stage,
        "error": "; ".join(f"{step}: {each.type}: {each.message}" for step, each in failures),
    }
    shape, work = run.shapes.get(piece.name), _work(run, piece.name)
    if shape is not None:
        row |= dict(zip(("channels", "height", "width"), shape[1:], strict=True))
        row |= {"kernels": work["kernels"], "moved_bytes": _moved(work), "macs": work["macs"]}
    samples = ratios.seconds_per_step(run.rounds, piece.name)
    if not samples:
        return row
    step = statistics.median_interval(samples)
    row |= {
        "latency_s": step.median,
        "latency_low_s": step.low,
        "latency_high_s": step.high,
        "rounds": len(samples),
    }
    ratio = ratios.ratio(run.rounds, piece.name, baseline=COPY)
    if shape is None or ratio is None or not _work(run, COPY):
        return row
    map_bytes = prod(shape) * ELEMENT_BYTES[run.case.dtype]
    per_map = _moved(_work(run, COPY)) / (2 * map_bytes)  # a copy reads and writes
    copies, step_bytes = _scaled(ratio, per_map), _moved(work)
    explained = _explained(run, work)
    shares = {name: statistics.change(ratio, taken) for name, taken in explained.items()}
    row |= {
        "bytes_per_s": step_bytes / step.median,
        "bytes_per_s_low": step_bytes / step.high,
        "bytes_per_s_high": step_bytes / step.low if step.low > 0 else inf,
        "map_copies": copies.median,
        "map_copies_low": copies.low,
        "map_copies_high": copies.high,
        **{f"{name}_share": share.median for name, share in shares.items()},
        **{f"{name}_share_low": share.low for name, share in shares.items()},
        **{f"{name}_share_high": share.high for name, share in shares.items()},
        "bound": _bound(explained, shares),
    }
    return row


def _explained(run: Run, work: Mapping[str, int]) -> dict[str, Interval]:
    """What each ceiling alone would take for that work, in large copies."""
    explained = {}
    for name, ceiling, amount in (
        ("launch", LAUNCH, lambda of: of["kernels"]),
        ("bandwidth", COPY, _moved),
        ("compute", PRODUCT, lambda of: of["macs"]),
    ):
        best = ONE if ceiling == COPY else ratios.ratio(run.rounds, ceiling, baseline=COPY)
        if best is not None and _work(run, ceiling):
            explained[name] = _scaled(best, amount(work) / amount(_work(run, ceiling)))
    return explained


def _bound(explained: Mapping[str, Interval], shares: Mapping[str, Interval]) -> str | None:
    """What explains most; "none" of too little, None where two could explain as much."""
    if not explained:
        return None
    first, *rest = sorted(explained, key=lambda name: explained[name].median, reverse=True)
    if shares[first].median < LEAST_SHARE:
        return "none"
    return first if all(explained[first].low > explained[name].high for name in rest) else None


def _inverse(interval: Interval) -> Interval:
    low = 1 / interval.high
    return Interval(1 / interval.median, low, 1 / interval.low if interval.low else inf)


def _scaled(interval: Interval, by: float) -> Interval:
    return Interval(interval.median * by, interval.low * by, interval.high * by)


def _work(run: Run, variant: str) -> Mapping[str, int]:
    counts = run.counts.get(variant, {}).get("executed")
    return (counts.details if counts else None) or {}


def _moved(work: Mapping[str, int]) -> int:
    return work["bytes_read"] + work["bytes_written"]


def sheets(run: Run, table: pd.DataFrame) -> list[Table]:
    """The ceilings, then what the pieces reach, and what of that the ceilings explain."""
    said = _said(run)
    return [
        Table(f"What this machine can do{said}", ("ceiling", "best"), tuple(_ceilings(run))),
        _sheet(f"Modules alone{said}", REACHED, table),
        _sheet(f"What the ceilings explain of their time{said}", EXPLAINED, table),
    ]


def at_the_top(run: Run, table: pd.DataFrame) -> Table:
    """What the pieces reach, and what holds each back."""
    return _sheet(f"Modules alone{_said(run)}", TOP, table)


def _said(run: Run) -> str:
    failed = control_fault(run) is not None
    return "; the control failed: bounds rest on their intervals" if failed else ""


def _sheet(caption: str, keys: Sequence[str], table: pd.DataFrame) -> Table:
    headings, cells = printed(COLUMNS, keys)
    rows = tuple(
        (title(row["module"]), *(cell(row) for cell in cells)) for _, row in table.iterrows()
    )
    return Table(caption, ("module", *headings), rows)


def _ceilings(run: Run) -> list[tuple[str, str]]:
    found = []
    for variant, what, unit, scale in (
        (COPY, "bytes read and written by a large copy", "GB/s", 1e-9),
        (PRODUCT, "multiply-accumulates of a large matrix product", "GMAC/s", 1e-9),
        (LAUNCH, "the smallest operator", "us", 1e6),
    ):
        samples, work = ratios.seconds_per_step(run.rounds, variant), _work(run, variant)
        if not samples or not work:
            found.append((what, formatting.NOTHING))
            continue
        taken = statistics.median_interval(samples)
        amount = work["macs"] if variant == PRODUCT else _moved(work)
        wanted = taken if variant == LAUNCH else _scaled(_inverse(taken), amount)
        scaled = _scaled(wanted, scale)
        found.append((what, formatting.tenths_with_doubt(scaled, unit)))
    return found
