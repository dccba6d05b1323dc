"""From folders of records to tables, plots and a page. Never torch: whoever shows measures not."""

from __future__ import annotations

from attnbench.report.load import apart, found, named, read
from attnbench.report.tables.accuracy import notes as accuracy_notes
from attnbench.report.tables.accuracy import sheets as accuracy
from attnbench.report.tables.grid import grid
from attnbench.report.tables.remarks import remarks
from attnbench.report.write import draw, frame, sheets, write, write_accuracy, write_joint

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
