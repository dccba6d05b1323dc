"""A column of a frame and how its cells are printed; a table as text."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from math import isnan
from typing import Any

import pandas as pd

from attnbench import formatting
from attnbench.formatting import joined, title
from attnbench.stats.interval import Interval

Cell = Callable[["pd.Series[Any]", str], str]
"""From a row and a column's key to printed text."""


@dataclass(frozen=True)
class Column:
    """A figure of ``comparison.csv``, raw and in base units, and the column that prints it.

    ``heading`` names it with the unit of print. Without ``show`` the figure is not printed, or
    only as an end of an interval.
    """

    key: str
    meaning: str
    unit: str = ""
    heading: str = ""
    show: Cell | None = None


def figure(show: Callable[..., str], **options: bool) -> Cell:
    """Return a cell that formats the column's own value, with those options."""
    return lambda row, key: show(row[key], **options)


def with_doubt(show: Callable[[Interval | None], str]) -> Cell:
    """Return a cell that formats the column's value with its interval."""
    return lambda row, key: show(interval(row, key))


def words(row: pd.Series[Any], key: str) -> str:
    """Return a cell of text; a dash where there is none."""
    text = row[key]
    return text if isinstance(text, str) and text else formatting.NOTHING


def names(row: pd.Series[Any], key: str) -> str:
    """Return a cell of module names, which the frame holds as a JSON list."""
    text = words(row, key)
    return text if text == formatting.NOTHING else joined(map(title, json.loads(text)))


def ends_of(key: str) -> tuple[str, str]:
    """Return the keys of the ends of a figure's interval: ``ratio_low``, ``latency_high_s``."""
    stem, unit = (key.removesuffix("_s"), "_s") if key.endswith("latency_s") else (key, "")
    return f"{stem}_low{unit}", f"{stem}_high{unit}"


def with_ends(
    key: str, meaning: str, unit: str, heading: str = "", show: Cell | None = None
) -> Iterator[Column]:
    """Yield a column, then those of the two ends of its interval."""
    yield Column(key, meaning, unit, heading, show)
    for end, side in zip(ends_of(key), ("Lower", "Upper"), strict=True):
        yield Column(end, f"{side} end of its 95% interval.", unit)


def figures(key: str, interval: Interval) -> dict[str, object]:
    """Return a figure and the ends of its interval, by their keys in a frame."""
    return dict(zip((key, *ends_of(key)), astuple(interval), strict=True))


def interval(row: pd.Series[Any], key: str) -> Interval | None:
    """Return the interval that three columns hold, or None where there is no figure."""
    return None if isnan(row[key]) else Interval(row[key], *(row[end] for end in ends_of(key)))


def typed(rows: Sequence[Mapping[str, object]], columns: Sequence[Column]) -> pd.DataFrame:
    """Return those columns of the rows: numbers, NaN where missing; text if there is no unit."""
    table = pd.DataFrame(rows, columns=[column.key for column in columns])
    numbers = {column.key: float for column in columns if column.unit}
    return table.astype(numbers).copy()  # pandas warns of columns that each lie apart


TOO_LOW = Column(
    "too_low",
    "The columns whose figures may be larger, as operators ran that no table knows: a list in "
    "JSON. Tables print these figures with ≥.",
)
UNKNOWN_OPERATORS = Column(
    "unknown_operators", "These operators, with how often they ran; empty where all are known."
)


def marked(text: str, row: pd.Series[Any], key: str) -> str:
    """Return a printed figure, with a mark where it may be larger (:data:`TOO_LOW`)."""
    listed = row.get(TOO_LOW.key)
    if not isinstance(listed, str) or not listed or text == formatting.NOTHING:
        return text
    return formatting.at_least(text) if key in json.loads(listed) else text


@dataclass(frozen=True)
class Table:
    """A caption, headings with units, and rows of text.

    ``definitions`` says what each column means; it is empty, or has one for each heading.
    """

    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    definitions: tuple[str, ...] = ()


def printed(
    caption: str,
    columns: Sequence[Column],
    keys: Sequence[str],
    frame: pd.DataFrame,
    headings: Mapping[str, str] | None = None,
) -> Table:
    """Return those columns of a frame as text, behind the modules' names in its first column.

    A column that is empty in all rows is left out, unless all are. ``headings`` replaces some of
    theirs.
    """
    known = {column.key: column for column in columns}
    rows = list(frame.iterrows())
    names = tuple(title(row.iloc[0]) for _, row in rows)
    every = {
        key: tuple(marked(show(row, key), row, key) for _, row in rows)
        for key in keys
        if (show := known[key].show) is not None
    }
    filled = {key: cells for key, cells in every.items() if set(cells) != {formatting.NOTHING}}
    shown = filled or every
    return Table(
        caption,
        ("module", *((headings or {}).get(key, known[key].heading) for key in shown)),
        tuple(zip(names, *shown.values(), strict=True)),
        (columns[0].meaning, *(known[key].meaning for key in shown)),
    )
