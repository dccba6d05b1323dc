"""Modules alone: how near each comes to what the machine can do, and what holds it back."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import pandas as pd

from attnbench import statistics, units
from attnbench.pieces import LAUNCH, PRODUCT, STAGES, Piece
from attnbench.records import COPY
from attnbench.runs import Run
from attnbench.statistics import Interval

from .frame import Column, Row
from .sheets import Sheet, title, warning

ELEMENT_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}

COLUMNS = (
    Column("module", "The attention module."),
    Column("stage", "1 to 4: it stands as in the last block of this stage of the host."),
    Column("channels", "Of its input."),
    Column("height", "Of its input."),
    Column("width", "Of its input."),
    Column("kernels", "Operators of one forward that launch work, under the rule `executed`."),
    Column("moved_bytes", "Bytes that these read and write, each tensor once an operator."),
    Column("macs", "Multiply-accumulates of one forward, under the rule `executed`."),
    Column("latency_s", "Median over rounds of the seconds of one forward of the whole batch."),
    Column("latency_low_s", "Lower end of its 95% interval."),
    Column("latency_high_s", "Upper end of its 95% interval."),
    Column("bytes_per_s", "`moved_bytes` over `latency_s`."),
    Column(
        "map_copies", "`latency_s` over the time that a large copy takes for its input's bytes."
    ),
    Column("map_copies_low", "Lower end of its 95% interval."),
    Column("map_copies_high", "Upper end of its 95% interval."),
    Column("launch_share", "Time of as many smallest operators as `kernels`, over `latency_s`."),
    Column("bandwidth_share", "Time to copy as many bytes as `moved_bytes`, over `latency_s`."),
    Column("compute_share", "Time of a product with as many `macs`, over `latency_s`."),
    Column("bound", "Which of the three shares is the largest."),
    Column("rounds", "Rounds in which it ran."),
    Column("error", "What failed, and why."),
)
"""The ceilings (a large copy, a large product, the smallest operator) run in the same rounds."""


def frame(run: Run) -> pd.DataFrame:
    """One row a module and stage, columns as in :data:`COLUMNS`, missing figures as NaN."""
    rows = [_row(run, Piece(module, stage)) for module in run.modules for stage in STAGES]
    table = pd.DataFrame(rows, columns=[column.key for column in COLUMNS])
    return table.astype(dict.fromkeys(table.columns.drop(["module", "bound", "error"]), float))


def _row(run: Run, piece: Piece) -> Row:
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
    samples = statistics.seconds_per_step(run.rounds, piece.name)
    if not samples:
        return row
    step = statistics.median_interval(samples)
    row |= {
        "latency_s": step.median,
        "latency_low_s": step.low,
        "latency_high_s": step.high,
        "rounds": len(samples),
    }
    ratio = statistics.ratio(run.rounds, piece.name, baseline=COPY)
    if shape is None or ratio is None or not _work(run, COPY):
        return row
    map_bytes = prod(shape) * ELEMENT_BYTES[run.case.dtype]
    copies = _moved(_work(run, COPY)) / (2 * map_bytes)  # a copy reads and writes
    shares = _shares(run, work, ratio.median)
    row |= {
        "bytes_per_s": _moved(work) / step.median,
        "map_copies": ratio.median * copies,
        "map_copies_low": ratio.low * copies,
        "map_copies_high": ratio.high * copies,
        **{f"{name}_share": share for name, share in shares.items()},
        "bound": max(shares, key=lambda name: shares[name]) if shares else None,
    }
    return row


def _shares(run: Run, work: Mapping[str, int], ratio: float) -> dict[str, float]:
    """What each ceiling alone would take, as a share of what the piece took."""
    shares = {"bandwidth": _moved(work) / _moved(_work(run, COPY)) / ratio}
    for name, ceiling, key in (("launch", LAUNCH, "kernels"), ("compute", PRODUCT, "macs")):
        best = statistics.ratio(run.rounds, ceiling, baseline=COPY)
        if best is not None and _work(run, ceiling):
            shares[name] = work[key] / _work(run, ceiling)[key] * best.median / ratio
    return shares


def _work(run: Run, variant: str) -> Mapping[str, int]:
    counts = run.counts.get(variant, {}).get("executed")
    return (counts.details if counts else None) or {}


def _moved(work: Mapping[str, int]) -> int:
    return work["bytes_read"] + work["bytes_written"]


def sheets(run: Run, table: pd.DataFrame) -> list[Sheet]:
    """The ceilings, then the pieces beside them."""
    said = warning(run)
    headings = (
        "module",
        "input",
        "kernels",
        "moved (MiB)",
        "latency (us)",
        "GB/s",
        "copies of its map",
        "launch",
        "bandwidth",
        "compute",
        "bound",
    )
    rows = tuple(tuple(_cells(row)) for _, row in table.iterrows())
    return [
        Sheet(f"What this machine can do{said}", ("ceiling", "best"), tuple(_ceilings(run))),
        Sheet(f"Modules alone, and what the ceilings explain of their time{said}", headings, rows),
    ]


def _cells(row: pd.Series) -> list[str]:  # type: ignore[type-arg]
    def share(name: str) -> str:
        return units.share(row[f"{name}_share"])

    size = [row[key] for key in ("channels", "height", "width") if not pd.isna(row[key])]
    return [
        title(row["module"]),
        "x".join(f"{each:.0f}" for each in size) or units.NOTHING,
        units.whole(row["kernels"]),
        units.mebibytes(row["moved_bytes"]),
        units.microseconds(_interval(row, "latency_s", "latency_low_s", "latency_high_s")),
        units.tenths(row["bytes_per_s"] / 1e9),
        units.tenths_with_doubt(_interval(row, "map_copies", "map_copies_low", "map_copies_high")),
        share("launch"),
        share("bandwidth"),
        share("compute"),
        row["bound"] if isinstance(row["bound"], str) else units.NOTHING,
    ]


def _interval(row: pd.Series, *keys: str) -> Interval | None:  # type: ignore[type-arg]
    median, low, high = (row[key] for key in keys)
    return None if pd.isna(median) else Interval(median, low, high)


def _ceilings(run: Run) -> list[tuple[str, str]]:
    found = []
    for variant, what, unit, scale in (
        (COPY, "bytes read and written by a large copy", "GB/s", 1e-9),
        (PRODUCT, "multiply-accumulates of a large matrix product", "GMAC/s", 1e-9),
        (LAUNCH, "the smallest operator", "us", 1e6),
    ):
        samples, work = statistics.seconds_per_step(run.rounds, variant), _work(run, variant)
        if not samples or not work:
            found.append((what, units.NOTHING))
            continue
        taken = statistics.median_interval(samples)
        if variant == LAUNCH:
            scaled = Interval(taken.median * scale, taken.low * scale, taken.high * scale)
        else:
            amount = scale * (work["macs"] if variant == PRODUCT else _moved(work))
            scaled = Interval(amount / taken.median, amount / taken.high, amount / taken.low)
        found.append((what, f"{units.tenths_with_doubt(scaled)} {unit}"))
    return found
