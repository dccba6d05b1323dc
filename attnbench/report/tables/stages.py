"""Where in the network a module's work lies: what the `executed` rule counted, stage by stage."""

from __future__ import annotations

import pandas as pd

from attnbench import formatting
from attnbench.formatting import title
from attnbench.records.run import Run
from attnbench.report.tables.columns import mebibytes, whole
from attnbench.report.tables.table import Column, Table, printed

COLUMNS = (
    Column("variant", "The module.", heading="module"),
    Column("stage", "The part of the host that it stands in."),
    Column("kernels", "Its operators that launch work.", "1", "kernels", whole("kernels")),
    Column(
        "moved_bytes",
        "Bytes that these read and write, for one image.",
        "byte",
        "moved (MiB)",
        mebibytes("moved_bytes"),
    ),
    Column(
        "macs",
        "Its multiply-accumulates.",
        "1",
        "macs (M)",
        lambda row: formatting.mega(row["macs"]),
    ),
    Column(
        "other_operations",
        "Its operations one element at a time, and its reductions.",
        "1",
        "other operations (M)",
        lambda row: formatting.mega(row["other_operations"]),
    ),
    Column(
        "moved_share",
        "Its share of all bytes that the module moves in the network.",
        "1",
        "of all it moves",
        lambda row: formatting.percent(row["moved_share"]),
    ),
)


def frame(run: Run) -> pd.DataFrame:
    """One row a module and stage; empty where nothing was counted by stage."""
    rows = []
    for variant in run.modules:
        executed = run.counts.get(variant, {}).get("executed")
        for part, cost in ((executed.parts if executed else None) or {}).items():
            stage, _, whose = part.rpartition(" ")
            if whose != "attention":
                continue
            rows.append(
                {
                    "variant": variant,
                    "stage": stage,
                    "kernels": cost["kernels"],
                    "moved_bytes": cost["bytes_read"] + cost["bytes_written"],
                    "macs": cost["macs"],
                    "other_operations": cost["elementwise"] + cost["reductions"],
                }
            )
    table = pd.DataFrame(rows, columns=[column.key for column in COLUMNS])
    moved = table.groupby("variant")["moved_bytes"].transform("sum")
    table["moved_share"] = table["moved_bytes"] / moved
    return table


def sheet(run: Run) -> Table | None:
    """The same as a table; None where nothing was counted by stage."""
    table = frame(run)
    if table.empty:
        return None
    headings, cells = printed(COLUMNS, [column.key for column in COLUMNS if column.show])
    rows = tuple(
        (title(row["variant"]), row["stage"], *(cell(row) for cell in cells))
        for _, row in table.iterrows()
    )
    caption = "The module's own work by stage, counted for one image in evaluation mode"
    return Table(caption, ("module", "stage", *headings), rows)
