"""From folders of records to tables, plots and a page. Never imports torch."""

from __future__ import annotations

from attnbench.report.load import read
from attnbench.report.write import write

__all__ = ["read", "write"]
