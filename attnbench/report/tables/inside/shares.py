"""Where the time of a step goes: attention against host, as a profiler saw it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from math import isfinite
from statistics import median

import pandas as pd

from attnbench.formatting import (
    NOTHING,
    error,
    giga,
    overhead,
    percent,
    tenths,
    thousandths,
    with_interval,
)
from attnbench.records.run import MOVES, Run, machine
from attnbench.records.schema import Count, Profile
from attnbench.records.variants import COPY, PLAIN, PRODUCT
from attnbench.report.tables.dataframe import Row, executed, work
from attnbench.report.tables.inside.kinds import ORDER, kind_of, plain_name
from attnbench.report.tables.table import (
    TOO_LOW,
    Column,
    Table,
    ends_of,
    figure,
    figures,
    printed,
    typed,
    with_doubt,
    with_ends,
    words,
)
from attnbench.report.unknown_operators import unknown
from attnbench.stats.interval import Interval, median_interval
from attnbench.stats.ratios import seconds_per_step

SLOWED = "a profiler slows what it watches: read shares, not latencies"

MOST_NAMED = 3
"""Operators that a row names."""

GIGA = 1e9


def _share(value: float) -> str:
    return percent(value) if isfinite(value) else NOTHING


COLUMNS = (
    Column("variant", "The network.", heading="module"),
    Column(
        "profiled_s",
        "Seconds of one step under the profiler, those of its operators and between them.",
        "s",
        "profiled step (ms)",
        figure(thousandths),
    ),
    Column(
        "attention_s",
        "Of these, the seconds within the attention.",
        "s",
        "attention (ms)",
        figure(thousandths),
    ),
    *with_ends(
        "attention_share",
        "Seconds within the attention over those of a plain host's step beside it; median over "
        "pairs of steps.",
        "1",
        "attention over plain host [95%]",
        with_doubt(partial(with_interval, scale=100, digits=1, unit="%")),
    ),
    *with_ends(
        "host_ratio",
        "Seconds in the host's own parts over those of a plain host's step beside it; median over "
        "pairs of steps.",
        "1",
        "its host over plain host [95%]",
        with_doubt(overhead),
    ),
    Column(
        "macs_share",
        "The attention's multiply-accumulates over the network's.",
        "1",
        "share of its macs",
        figure(error),
    ),
    Column(
        "moved_share",
        "Bytes that the attention moves over those that the network moves.",
        "1",
        "share of its traffic",
        figure(_share),
    ),
    Column(
        "stages",
        "`attention_s` by stage, in milliseconds.",
        "",
        "attention by stage (ms)",
        words,
    ),
    Column(
        "operators",
        "Operators in which the attention spends most, in milliseconds; `between operators` is "
        "Python and calls.",
        "",
        "most time in (ms)",
        words,
    ),
    Column(
        "attention_bytes_per_s",
        "Bytes that the attention moves, as counted for one image, over `attention_s`; of batches "
        "of one image.",
        "byte/s",
        "attention GB/s",
        figure(lambda value: tenths(value / GIGA)),
    ),
    Column(
        "host_bytes_per_s",
        "The same of the host's own parts.",
        "byte/s",
        "host GB/s",
        figure(lambda value: tenths(value / GIGA)),
    ),
    Column(
        "attention_macs_per_s",
        "Multiply-accumulates of the attention over `attention_s`.",
        "1/s",
        "attention GMAC/s",
        figure(giga),
    ),
    Column(
        "host_macs_per_s",
        "The same of the host's own parts.",
        "1/s",
        "host GMAC/s",
        figure(giga),
    ),
    Column(
        "copy_bytes_per_s",
        "Bytes that a large copy reads and writes a second, of an isolated run on the same "
        "machine.",
        "byte/s",
        "large copy GB/s",
        figure(lambda value: tenths(value / GIGA)),
    ),
    Column(
        "product_macs_per_s",
        "Multiply-accumulates a second of a large matrix product, of the same run.",
        "1/s",
        "large product GMAC/s",
        figure(giga),
    ),
    TOO_LOW,
)

SECONDS = (
    *("profiled_s", "attention_s", "attention_share", "host_ratio", "macs_share", "moved_share"),
)
WHERE = ("stages", "operators")
RATES = ("attention_bytes_per_s", "host_bytes_per_s", "attention_macs_per_s", "host_macs_per_s")
WHOLE = tuple(column.key for column in COLUMNS if column.show)
"""Of the table of a page, which has room for all."""


def frame(run: Run, others: Iterable[Run] = ()) -> pd.DataFrame:
    """Return one row a network that was profiled, raw, in base units.

    ``others`` may hold an isolated run of the same machine, whose ceilings then stand beside.
    """
    rows = [_row(run, name) for name in run.networks if name in run.profile]
    best = _ceilings(run, others) if rows else {}
    return typed([row | best for row in rows], COLUMNS)


def _ceilings(run: Run, others: Iterable[Run]) -> Row:
    """Return the rates of a large copy and a large product under the same conditions."""
    for other in others:
        here, there = machine(run.environment), machine(other.environment)
        alike = there | {MOVES: here[MOVES]} == here and all(
            getattr(other.case, name) == getattr(run.case, name)
            for name in ("device", "threads", "dtype")
        )
        if other.case.isolated and alike:
            row: Row = {}
            for variant, amount, key in (
                (COPY, "moved_bytes", "copy_bytes_per_s"),
                (PRODUCT, "macs", "product_macs_per_s"),
            ):
                samples, cost = seconds_per_step(other.rounds, variant), executed(other, variant)
                if samples and cost:
                    row[key] = cost[amount] / median(samples)
            return row
    return {}


def kinds(run: Run) -> pd.DataFrame:
    """Return one row a module: its attention by kind of operator, over the plain host's step.

    Columns: ``variant``, those of :data:`ORDER`, and ``host_ratio`` with its ends: the host's own
    parts over the plain host.
    """
    rows: list[Row] = []
    for name in run.modules:
        if (profile := run.profile.get(name)) and (pairs := _pairs(profile)):
            by_kind = dict.fromkeys(ORDER, 0.0)
            spent_s = _attention(profile)
            for operator, value in spent_s.items():
                by_kind[kind_of(operator)] += value
            scale = pairs["attention_share"].median / (sum(spent_s.values()) or 1.0)
            shares: Row = {kind: value * scale for kind, value in by_kind.items()}
            rows.append({"variant": name, **shares, **figures("host_ratio", pairs["host_ratio"])})
    return pd.DataFrame(rows, columns=["variant", *ORDER, "host_ratio", *ends_of("host_ratio")])


def _pairs(profile: Profile) -> dict[str, Interval]:
    """Return attention and host over the plain host's steps beside them; empty without these."""
    return {
        key: median_interval([s / beside for s, beside in zip(own, profile.plain_s, strict=True)])
        for key, own in (("attention_share", profile.attention_s), ("host_ratio", profile.host_s))
        if profile.plain_s
    }


def _row(run: Run, variant: str) -> Row:
    profile = run.profile[variant]
    row: Row = {"variant": variant, "profiled_s": _seconds(profile)}
    spent_s = {"host": _seconds(profile, "host"), "attention": _seconds(profile, "attention")}
    if variant != PLAIN:
        row |= {
            "attention_s": spent_s["attention"],
            "stages": _stages(profile),
            "operators": _most(profile),
        }
        for key, known in _pairs(profile).items():
            row |= figures(key, known)
    counted = _counted(run, variant)
    for owner, cost in counted.items():
        if spent_s[owner] > 0:
            row[f"{owner}_macs_per_s"] = cost["macs"] * run.case.batch_size / spent_s[owner]
            if run.case.batch_size == 1:  # weights are read once whatever the batch
                row[f"{owner}_bytes_per_s"] = cost["moved_bytes"] / spent_s[owner]
    fully = not unknown(run, variant)
    row["too_low"] = "" if fully else json.dumps(RATES)
    for share, amount in (("macs_share", "macs"), ("moved_share", "moved_bytes")):
        total = sum(cost[amount] for cost in counted.values())
        if "attention" in counted and total and fully:
            row[share] = counted["attention"][amount] / total
    return row


def _counted(run: Run, variant: str) -> dict[str, dict[str, int]]:
    """Return the counted work of ``host`` and ``attention``, of one image; empty without counts."""
    parts = run.counts.get(variant, {}).get("executed", Count()).parts or {}
    sums: dict[str, Counter[str]] = {}
    for part, cost in parts.items():
        owner = part.rpartition(" ")[2]
        sums.setdefault(owner, Counter()).update(work(cost))
    return {owner: dict(total) for owner, total in sums.items() if total}


def _seconds(profile: Profile, owner: str = "") -> float:
    """Return the seconds of a step, or of its parts that are ``host`` or ``attention``."""
    return sum(
        sum(row.values())
        for part, row in profile.seconds.items()
        if owner in {"", part.rpartition(" ")[2]}
    )


def _attention(profile: Profile) -> Mapping[str, float]:
    """Return the seconds of the attention by operator."""
    spent_s: dict[str, float] = {}
    for part, row in profile.seconds.items():
        if part.rpartition(" ")[2] == "attention":
            for operator, value in row.items():
                name = plain_name(operator)
                spent_s[name] = spent_s.get(name, 0.0) + value
    return spent_s


def _stages(profile: Profile) -> str:
    by_stage = {
        part.rpartition(" ")[0]: sum(row.values())
        for part, row in profile.seconds.items()
        if part.rpartition(" ")[2] == "attention"
    }
    return ", ".join(f"{stage} {thousandths(spent)}" for stage, spent in by_stage.items())


def _most(profile: Profile) -> str:
    ordered = sorted(_attention(profile).items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {thousandths(spent)}" for name, spent in ordered[:MOST_NAMED])


def tables(run: Run) -> list[Table]:
    """Return what a profiler saw inside the networks; nothing where none was profiled."""
    rows = frame(run)
    if rows.empty:
        return []
    achieved = rows.dropna(subset=list(RATES), how="all")
    captions = (
        (f"Where the time of a step goes; {SLOWED}", SECONDS, rows),
        ("The attention's time by stage and operator, profiled", WHERE, _modules(rows)),
        ("What attention and host achieve under the profiler", RATES, achieved),
    )
    return [printed(text, COLUMNS, keys, part) for text, keys, part in captions if len(part)]


def table(run: Run, others: Iterable[Run] = ()) -> Table | None:
    """Return all of it as one table of a page; None where nothing was profiled."""
    rows = frame(run, others)
    caption = f"Where the time of a step goes; {SLOWED}"
    return None if rows.empty else printed(caption, COLUMNS, WHOLE, rows)


def _modules(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["variant"] != PLAIN]
