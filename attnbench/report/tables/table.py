"""A table as data: its caption, headings and rows; its columns, and how each cell is printed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

Cell = Callable[["pd.Series[Any]"], str]
"""From a row to printed text."""


@dataclass(frozen=True)
class Column:
    """A figure of ``comparison.csv``, raw and in base units, and the column that prints it.

    ``heading`` names it with the unit of print; where it is empty the figure is not printed, or
    only as the end of an interval.
    """

    key: str
    meaning: str
    unit: str = ""
    heading: str = ""
    show: Cell | None = None


def printed(columns: Sequence[Column], keys: Sequence[str]) -> tuple[list[str], list[Cell]]:
    """The headings and cells of those columns, which must be such as are printed."""
    shown = {column.key: column for column in columns}
    chosen = [shown[key] for key in keys]
    return [each.heading for each in chosen], [each.show for each in chosen if each.show]


@dataclass(frozen=True)
class Table:
    """A caption, headings with units, and rows of text."""

    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
