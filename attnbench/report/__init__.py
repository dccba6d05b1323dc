"""From folders of records to tables, plots and a page. Never torch: whoever shows measures not."""

from __future__ import annotations

from .grids import grid
from .reading import found, named, read
from .sheets import remarks
from .writing import frame, sheets, write, write_joint

__all__ = ["found", "frame", "grid", "named", "read", "remarks", "sheets", "write", "write_joint"]
