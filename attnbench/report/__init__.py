"""From folders of records to tables, plots and a page. Never torch: whoever shows measures not."""

from __future__ import annotations

from attnbench.report.grids import grid
from attnbench.report.measured import notes as accuracy_notes
from attnbench.report.measured import sheets as accuracy
from attnbench.report.reading import apart, found, named, read
from attnbench.report.sheets import remarks
from attnbench.report.writing import draw, frame, sheets, write, write_accuracy, write_joint

__all__ = [
    "accuracy",
    "accuracy_notes",
    "apart",
    "draw",
    "found",
    "frame",
    "grid",
    "named",
    "read",
    "remarks",
    "sheets",
    "write",
    "write_accuracy",
    "write_joint",
]
