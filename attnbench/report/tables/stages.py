"""Where in the network a module's work lies: what the `executed` rule counted, stage by stage."""

from __future__ import annotations

import pandas as pd

from attnbench.formatting import mebibytes, mega, percent, whole
from attnbench.records.run import Run
from attnbench.records.schema import Count
from attnbench.report.tables.dataframe import Row, work
from attnbench.report.tables.table import Column, Table, figure, printed, typed, words

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
)


def frame(run: Run) -> pd.DataFrame:
    """Return one row a module and stage; empty where nothing was counted by stage."""
    rows: list[Row] = []
    for variant in run.modules:
        parts = run.counts.get(variant, {}).get("executed", Count()).parts or {}
        for part, cost in parts.items():
            stage, _, owner = part.rpartition(" ")
            if owner == "attention":
                other = cost["elementwise"] + cost["reductions"]
                row = {"variant": variant, "stage": stage, "other_operations": other}
                rows.append(row | work(cost))
    table = typed(rows, COLUMNS)
    moved = table.groupby("variant")["moved_bytes"].transform("sum")
    return table.assign(moved_share=table["moved_bytes"] / moved)


def table(run: Run) -> Table | None:
    """Return the same as a table; None where nothing was counted by stage."""
    rows = frame(run)
    if rows.empty:
        return None
    caption = "The module's own work by stage, counted for one image in evaluation mode"
    return printed(caption, COLUMNS, [column.key for column in COLUMNS if column.show], rows)
