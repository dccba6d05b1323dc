"""What was counted by part: a module's work stage by stage, and a training step's part by part."""

from __future__ import annotations

import json

import pandas as pd

from attnbench.formatting import giga, mebibytes, mega, percent, whole
from attnbench.records.run import Run
from attnbench.records.schema import Count
from attnbench.report.tables.dataframe import Row, work
from attnbench.report.tables.table import TOO_LOW, Column, Table, figure, printed, typed, words
from attnbench.report.unknown_operators import OF_EXECUTED, beyond_plain, unknown

COLUMNS = (
    Column("variant", "The module.", heading="module"),
    Column("stage", "The part of the host that it stands in.", "", "stage", words),
    Column("kernels", "Its operators that launch work.", "1", "kernels", figure(whole)),
    Column(
        "moved_bytes",
        "Bytes that these read and write, for one image.",
        "byte",
        "memory traffic (MiB)",
        figure(mebibytes),
    ),
    Column("macs", "Its multiply-accumulates.", "1", "macs (M)", figure(mega)),
    Column(
        "other_operations",
        "Its operations one element at a time, and its reductions.",
        "1",
        "other operations (M)",
        figure(mega),
    ),
    Column(
        "moved_share",
        "Its share of all bytes that the module moves in the network.",
        "1",
        "share of its traffic",
        figure(percent),
    ),
    TOO_LOW,
)


def frame(run: Run) -> pd.DataFrame:
    """Return one row a module and stage; empty where nothing was counted by stage."""
    rows: list[Row] = []
    for variant in run.modules:
        parts = run.counts.get(variant, {}).get("executed", Count()).parts or {}
        too_low = json.dumps(OF_EXECUTED) if beyond_plain(run, variant) else ""
        for part, cost in parts.items():
            stage, _, owner = part.rpartition(" ")
            if owner == "attention":
                row: Row = {"variant": variant, "stage": stage, "too_low": too_low}
                if cost.keys() >= {"elementwise", "reductions"}:
                    row["other_operations"] = cost["elementwise"] + cost["reductions"]
                rows.append(row | work(cost))
    table = typed(rows, COLUMNS)
    moved = table.groupby("variant")["moved_bytes"].transform("sum")
    shares = table["moved_bytes"] / moved
    return table.assign(moved_share=shares.where(table["too_low"] == ""))


def table(run: Run) -> Table | None:
    """Return the same as a table; None where nothing was counted by stage."""
    rows = frame(run)
    if rows.empty:
        return None
    caption = "The module's own work by stage, counted for one image in evaluation mode"
    return printed(caption, COLUMNS, [column.key for column in COLUMNS if column.show], rows)


EXECUTED, TORCH = "executed, training step", "torch, training step"
"""The rules whose counts are of a step (``attnbench.counting.training``)."""

STEP_COLUMNS = (
    Column("variant", "The network.", heading="module"),
    Column("part", "Of the step: forward with loss, backward, optimizer.", "", "part", words),
    Column("macs", "Its multiply-accumulates.", "1", "macs (G)", figure(giga)),
    Column("torch", "Operations by torch.utils.flop_counter.", "1", "torch (G)", figure(giga)),
    Column(
        "other_operations",
        "Its operations one element at a time, and its reductions.",
        "1",
        "other operations (M)",
        figure(mega),
    ),
    Column("kernels", "Its operators that launch work, on a CPU.", "1", "kernels", figure(whole)),
    Column(
        "moved_bytes",
        "Bytes they read and write.",
        "byte",
        "memory traffic (MiB)",
        figure(mebibytes),
    ),
    Column(
        "peak_bytes",
        "Most bytes alive in it.",
        "byte",
        "activation memory (MiB)",
        figure(mebibytes),
    ),
    TOO_LOW,
)


def step_frame(run: Run) -> pd.DataFrame:
    """Return one row a network and part of its step; empty where no step was counted."""
    rows: list[Row] = []
    for variant in run.networks:
        rules = run.counts.get(variant, {})
        by_torch = rules.get(TORCH, Count()).parts or {}
        too_low = json.dumps(OF_EXECUTED) if unknown(run, variant, EXECUTED) else ""
        for part, cost in (rules.get(EXECUTED, Count()).parts or {}).items():
            row: Row = {
                "variant": variant,
                "part": part,
                "torch": by_torch.get(part, {}).get("operations"),
                "other_operations": cost["elementwise"] + cost["reductions"],
                "peak_bytes": cost["peak_live_bytes"],
                "too_low": too_low,
            }
            rows.append(row | work(cost))
    return typed(rows, STEP_COLUMNS)


def step_table(run: Run) -> Table | None:
    """Return the same as a table; None where no step was counted."""
    rows = step_frame(run)
    if rows.empty:
        return None
    caption = f"Counts of one training step, batch {run.case.batch_size}, as a CPU runs it"
    return printed(
        caption, STEP_COLUMNS, [column.key for column in STEP_COLUMNS if column.show], rows
    )
