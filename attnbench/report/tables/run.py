"""What the printed tables say, as text; how they are set is in ``layouts``."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from attnbench.formatting import title
from attnbench.records.run import Run
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.report.tables.columns import COLUMNS, PARTS, RULES
from attnbench.report.tables.remarks import warning
from attnbench.report.tables.table import Table, printed

AT_A_GLANCE = ("added_params", "added_leaf_operations", "ratio", "verdict", "peak_live_ratio")
COUNTED = ("params", *(f"{rule}_operations" for rule in RULES))
ADDED = ("added_params", *(f"added_{rule}_operations" for rule in RULES))
WORK = ("kernels", "added_kernels", "moved_bytes", "added_moved_bytes")
LATENCY = ("latency_s", "ratio", "verdict", "tied_with", "outliers")
MEMORY = {
    device: tuple(f"{peak}_{figure}" for peak in peaks for figure in ("bytes", "ratio"))
    for device, peaks in (
        ("cpu", ("peak_live", "peak_resident")),
        ("cuda", ("peak_live", "peak_allocated_above", "peak_reserved_above")),
    )
}
"""The columns of each printed table; ``columns`` has their headings."""


def sheets(run: Run, table: pd.DataFrame) -> list[Table]:
    """The printed tables, each narrow enough for a column of print or a terminal."""
    networks = table[table["variant"] != CONTROL]
    modules = networks[networks["variant"] != PLAIN]
    said = warning(run)
    latency = (*LATENCY, "compile_s") if run.case.compiled else LATENCY
    parts = PARTS if table["forward_s"].notna().any() else ()
    return [
        _sheet(f"At a glance, against the plain host{said}", AT_A_GLANCE, modules),
        _sheet("Parameters, and operations for one image by rule of counting", COUNTED, networks),
        _sheet("The same, over the plain host", ADDED, modules),
        _sheet("Kernels and traffic of one forward, one image", WORK, networks),
        _sheet(f"Latency, with 95% intervals{said}", latency, table),
        *(
            _sheet(
                f"Of it the {part}, with 95% intervals{said}", (f"{part}_s", f"{part}_ratio"), table
            )
            for part in parts
        ),
        _sheet("Peak memory of one step", MEMORY[run.case.device], networks),
    ]


def _sheet(caption: str, keys: Sequence[str], table: pd.DataFrame) -> Table:
    headings, cells = printed(COLUMNS, keys)
    rows = tuple(
        (title(row["variant"]), *(cell(row) for cell in cells)) for _, row in table.iterrows()
    )
    return Table(caption, ("module", *headings), rows)
