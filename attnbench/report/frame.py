"""A run as a tidy DataFrame: one row a variant, raw base units, every column defined here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from attnbench import statistics
from attnbench.records import CONTROL, PLAIN, Count, Memory
from attnbench.runs import Run
from attnbench.statistics import Interval

Row = dict[str, object]


@dataclass(frozen=True)
class Column:
    """A name with its unit, and the sentence that defines it."""

    key: str
    meaning: str


RULES = ("macs", "leaf", "thop", "fvcore")
"""The rules of counting that tables show, in their order."""

PARTS = ("forward", "backward", "optimizer")
"""The parts of a training step, in their order."""

COLUMNS = (
    Column("variant", "A module in the host; `plain` is the host alone, `control` the same again."),
    Column("params", "Learnable parameters, exact."),
    Column("added_params", "`params` less the plain host's."),
    Column("thop_params", "Parameters that thop reports; it misses bare ones."),
    *(
        column
        for rule in RULES
        for column in (
            Column(f"{rule}_operations", f"Operations for one image under the rule `{rule}`."),
            Column(f"added_{rule}_operations", f"`{rule}_operations` less the plain host's."),
        )
    ),
    *(
        column
        for key, meaning in (
            ("kernels", "Operators of one forward that launch work, under the rule `executed`."),
            ("moved_bytes", "Bytes that these read and write, each tensor once an operator."),
        )
        for column in (
            Column(key, meaning),
            Column(f"added_{key}", f"`{key}` less the plain host's."),
        )
    ),
    Column("latency_s", "Median over rounds of the seconds of one step, for one image."),
    Column("latency_low_s", "Lower end of its 95% interval."),
    Column("latency_high_s", "Upper end of its 95% interval."),
    Column("ratio", "exp of the median over rounds of log(step / plain step of the same round)."),
    Column("ratio_low", "Lower end of its 95% interval (`attnbench/statistics.py` says how)."),
    Column("ratio_high", "Upper end of its 95% interval."),
    Column("rounds", "Rounds in which the variant ran."),
    Column("outliers", "Rounds in which its ratio lies beyond Tukey's outer fences; all kept."),
    *(
        column
        for part in PARTS
        for column in (
            Column(
                f"{part}_s", f"Training: median seconds of the {part} of one step, for one image."
            ),
            Column(f"{part}_ratio", f"As `ratio`, for the {part} alone."),
            Column(f"{part}_ratio_low", "Lower end of its 95% interval."),
            Column(f"{part}_ratio_high", "Upper end of its 95% interval."),
        )
    ),
    Column("compile_s", "Compiled: seconds from nothing to the first answer, compiling included."),
    Column("verdict", "slower, faster, cannot be told apart; empty where the control fails."),
    Column("peak_live_bytes", "Most bytes that one step creates and holds at once; deterministic."),
    Column("peak_live_ratio", "`peak_live_bytes` over the plain host's."),
    Column("peak_resident_bytes", "CPU: the process's peak resident size, libraries included."),
    Column("peak_resident_ratio", "`peak_resident_bytes` over the plain host's."),
    Column(
        "peak_allocated_above_bytes",
        "CUDA: most bytes in tensors and libraries' workspaces, less those before the step.",
    ),
    Column("peak_allocated_above_ratio", "`peak_allocated_above_bytes` over the plain host's."),
    Column("peak_reserved_above_bytes", "CUDA: most bytes the allocator held, less those before."),
    Column("peak_reserved_above_ratio", "`peak_reserved_above_bytes` over the plain host's."),
    Column("peak_reserved_bytes", "CUDA: most bytes that the allocator held, network included."),
    Column("peak_reserved_ratio", "`peak_reserved_bytes` over the plain host's."),
    Column("error", "What failed, and why."),
)


def frame(run: Run) -> pd.DataFrame:
    """One row a variant of the plan, columns as in :data:`COLUMNS`, missing figures as NaN."""
    fault = statistics.control_fault(run.rounds, run.plan.target)
    rows = [
        {
            "variant": variant,
            **_counts(run, variant),
            **_latency(run, variant, verdicts=fault is None),
            **_parts(run, variant),
            "compile_s": run.compiled[variant].seconds if variant in run.compiled else None,
            **_memory(run, variant),
            "error": "; ".join(
                f"{step}: {failure.type}: {failure.message}"
                for step, failure in run.failures.get(variant, {}).items()
            ),
        }
        for variant in run.plan.variants
    ]
    table = pd.DataFrame(rows, columns=[column.key for column in COLUMNS])
    words = ["variant", "verdict", "error"]
    return table.astype(dict.fromkeys(table.columns.drop(words), float))


def _counts(run: Run, variant: str) -> Row:
    mine, plain = run.counts.get(variant), run.counts.get(PLAIN)
    if mine is None:
        return {}
    params, base_params = _of(mine, "learnable").params, _of(plain, "learnable").params
    row: Row = {
        "params": params,
        "added_params": _less(params, base_params),
        "thop_params": _of(mine, "thop").params,
    }
    for rule in RULES:
        operations = _of(mine, rule).operations
        row[f"{rule}_operations"] = operations
        row[f"added_{rule}_operations"] = _less(operations, _of(plain, rule).operations)
    executed = _executed(mine)
    row |= executed
    if plain is not None:
        base = _executed(plain)
        row |= {f"added_{key}": _less(value, base.get(key)) for key, value in executed.items()}
    return row


def _of(counts: Mapping[str, Count] | None, rule: str) -> Count:
    return (counts or {}).get(rule, Count())


def _executed(counts: Mapping[str, Count]) -> dict[str, int]:
    details = _of(counts, "executed").details or {}
    if not {"kernels", "bytes_read", "bytes_written"} <= set(details):
        return {}
    return {
        "kernels": details["kernels"],
        "moved_bytes": details["bytes_read"] + details["bytes_written"],
    }


def _less(value: int | None, base: int | None) -> int | None:
    return None if value is None or base is None else value - base


def _latency(run: Run, variant: str, *, verdicts: bool) -> Row:
    samples = statistics.seconds_per_step(run.rounds, variant)
    if not samples:
        return {}
    step = statistics.median_interval(samples)
    images = run.case.batch_size
    row: Row = {
        "latency_s": step.median / images,
        "latency_low_s": step.low / images,
        "latency_high_s": step.high / images,
        "rounds": len(samples),
        "outliers": statistics.outliers(statistics.log_ratios(run.rounds, variant)),
    }
    ratio = statistics.ratio(run.rounds, variant)
    if ratio is None:
        return row
    if variant == PLAIN:
        ratio = Interval(1.0, 1.0, 1.0)
    row |= {"ratio": ratio.median, "ratio_low": ratio.low, "ratio_high": ratio.high}
    if verdicts and variant not in (PLAIN, CONTROL):
        row["verdict"] = statistics.verdict(ratio)
    return row


def _parts(run: Run, variant: str) -> Row:
    row: Row = {}
    for part in PARTS:
        samples = statistics.seconds_per_step(run.rounds, variant, part)
        ratio = statistics.ratio(run.rounds, variant, part=part)
        if not samples or ratio is None:
            continue
        if variant == PLAIN:
            ratio = Interval(1.0, 1.0, 1.0)
        row |= {
            f"{part}_s": statistics.median_interval(samples).median / run.case.batch_size,
            f"{part}_ratio": ratio.median,
            f"{part}_ratio_low": ratio.low,
            f"{part}_ratio_high": ratio.high,
        }
    return row


def _memory(run: Run, variant: str) -> Row:
    mine, plain = run.memory.get(variant), run.memory.get(PLAIN)
    if mine is None:
        return {}
    figures = _peaks(mine)
    row: Row = {f"{key}_bytes": value for key, value in figures.items()}
    if plain is not None:
        base = _peaks(plain)
        row |= {
            f"{key}_ratio": value / base[key]  # type: ignore[operator]
            for key, value in figures.items()
            if value is not None and base[key]
        }
    return row


def _peaks(memory: Memory) -> dict[str, int | None]:
    return {
        "peak_live": memory.peak_live_bytes,
        "peak_resident": memory.peak_resident_bytes,
        "peak_allocated_above": _less(memory.peak_allocated_bytes, memory.allocated_bytes),
        "peak_reserved_above": _less(memory.peak_reserved_bytes, memory.reserved_bytes),
        "peak_reserved": memory.peak_reserved_bytes,
    }
