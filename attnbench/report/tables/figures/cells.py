"""Cells and columns that several kinds of figures have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from attnbench import formatting
from attnbench.records.variants import PLAIN
from attnbench.report.tables.table import Column, figure, with_doubt, words


def another_word(row: pd.Series[Any], key: str) -> str:
    """Return the code of a verdict; nothing where the verdict is the same word."""
    same = row[key] == row[key.replace("code", "verdict")]
    return formatting.NOTHING if same else words(row, key)


def ratio(row: pd.Series[Any], key: str) -> str:
    """Return a cell with a measured ratio; that of the plain host to itself is 1 by definition."""
    if row["variant"] == PLAIN:
        return "1" if row["rounds"] > 0 else formatting.NOTHING
    return with_doubt(formatting.ratio)(row, key)


def levels(row: pd.Series[Any], key: str) -> str:
    """Return what each level leaves open; nothing where only rounds are known."""
    rounds, processes = row[key], row["ratio_processes"]
    if pd.isna(processes) or row["variant"] == PLAIN:
        return formatting.NOTHING
    return f"±{formatting.percent(rounds)} rounds, ±{formatting.percent(processes)} processes"


def added(key: str, unit: str, heading: str, show: Callable[..., str], what: str) -> Column:
    """Return the column of a figure less the plain host's; ``what`` says of what."""
    meaning = f"{what}, less the plain host's."
    return Column(f"added_{key}", meaning, unit, f"added {heading}", figure(show, signed=True))
