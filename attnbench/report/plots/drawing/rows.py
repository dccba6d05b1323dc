"""What plots read of the rows of a table: overhead in percent, and whether it can be judged."""

from __future__ import annotations

from math import isfinite
from typing import Any

import pandas as pd

from attnbench.errors import UserError
from attnbench.formatting import title
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.stats.quantities.device_time import WAITS

Span = tuple[float, float, float]
"""A median and the ends of its interval, which are infinite after too few rounds."""


def spoken(row: pd.Series[Any]) -> str:
    """Return ``SA +16.8% [+12.9, +20.9]``: latency over the plain host."""
    if row["variant"] == PLAIN:
        return "plain host"
    middle, *ends = overhead(row)
    verdict = ", of issuing" if of_issuing(row) else ""
    verdict += "" if sure(row) else ", no verdict"
    return f"{title(row['variant'])} {middle:+.1f}% {bracketed(*ends)}{verdict}"


def bracketed(low: float, high: float) -> str:
    """Return the ends of an overhead's interval in percent: ``[+12.9, +20.9]``."""
    return f"[{low:+.1f}, {high:+.1f}]" if isfinite(high - low) else "[too few rounds]"


def sure(row: pd.Series[Any]) -> bool:
    """Return whether the control of the row's run held, as far as the table tells."""
    fault = row.get("control_fault")
    return not (isinstance(fault, str) and fault)


def of_issuing(row: pd.Series[Any]) -> bool:
    """Return whether the device waited for the host: the row's latency is that of issuing."""
    return bool(row.get("issued_share", 0.0) > WAITS)


def of_device(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with the device's own times as its latency."""
    return in_place_of_latency(table, "device_")


def in_place_of_latency(table: pd.DataFrame, prefix: str) -> pd.DataFrame:
    """Return the table with the columns that begin so as those of its latency."""
    if f"{prefix}ratio" not in table:
        return table.iloc[:0]
    keys = [str(key) for key in table if str(key).startswith(prefix)]
    replaced = [*(key.removeprefix(prefix) for key in keys), "issued_share"]
    others = table.drop(columns=replaced, errors="ignore")
    return others.rename(columns=lambda key: key.removeprefix(prefix))


def foremost(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Return the table with the time to compare by as its latency, and what that is called.

    It is the device's own where the device waited for the host in any row.
    """
    waited = any(of_issuing(row) for _, row in table.iterrows())
    if waited and "device_ratio" in table and table["device_ratio"].notna().any():
        return of_device(table), "device time"
    return table, "latency"


def percent(ratio: Any) -> Any:
    """Return a ratio, or several, as overhead in percent: 1.2 is 20."""
    return (ratio - 1) * 100


def overhead(row: pd.Series[Any], key: str = "ratio_between_runs") -> Span:
    """Return latency over the plain host in percent; ``key`` ``ratio`` for that of one run."""
    middle, low, high = (percent(row[f"{key}{end}"]) for end in ("", "_low", "_high"))
    return middle, low, high


WIDEST_INTERVALS = "intervals include the variation between runs"
"""What the whiskers of latency cover, on the axis that has them."""


def of_one_run(known: pd.DataFrame, *keys: str) -> pd.DataFrame:
    """Return the rows unless they are of several runs and would be taken for those of one.

    Raises:
        UserError: a module has several rows.
    """
    if known.duplicated(["variant", *keys]).any():
        raise UserError("several rows of one module: choose one run of the table for this plot")
    return known


def modules(table: pd.DataFrame, *figures: str) -> pd.DataFrame:
    """Return the rows of modules, without plain host and control, that have those figures."""
    return table[~table["variant"].isin([PLAIN, CONTROL])].dropna(subset=list(figures))
