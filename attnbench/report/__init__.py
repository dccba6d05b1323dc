"""From folders of records to tables, plots and a page. Never torch: whoever shows measures not."""

from __future__ import annotations

from .grids import grid
from .measured import notes as accuracy_notes
from .measured import sheets as accuracy
from .reading import apart, found, named, read
from .sheets import remarks
from .writing import draw, frame, sheets, write, write_accuracy, write_joint

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
