"""Read the tables of published figures: one claim a figure. No torch."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

TABLES = ("imagenet.toml", "coco.toml", "times.toml")

METRICS = {
    "top1": "top1",
    "top5": "top5",
    "box ap": "box-ap",
    "box ap50": "box-ap50",
    "box ap75": "box-ap75",
    "mask ap": "mask-ap",
    "mask ap50": "mask-ap50",
    "mask ap75": "mask-ap75",
    "images/s": "images-per-s",
    "s/iteration": "s-per-iteration",
    "GB": "gb",
}
"""The columns that hold figures -> the end of the claim's id. All others are fields of a claim."""

OF_TABLE = ("source", "training", "note", "verdict", "superseded")
"""Fields that a table states once for all of its rows."""


def rows() -> Iterator[dict[str, Any]]:
    """Yield the fields of every claim in the tables, as a row of ``claims.toml`` states them."""
    for name in TABLES:
        text = files("attnbench.claims").joinpath("published", name).read_text(encoding="utf-8")
        for table in tomllib.loads(text)["table"]:
            yield from _of(table)


def _of(table: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    shared = {"verdict": "needs data"} | {key: table[key] for key in OF_TABLE if key in table}
    for row in table["rows"]:
        cells = dict(zip(table["columns"], row, strict=True))
        fields = {key: value for key, value in cells.items() if key not in METRICS and value}
        for metric, suffix in METRICS.items():
            if not cells.get(metric):
                continue
            own = {"id": f"{table['id']}-{fields['id']}-{suffix}", "metric": metric}
            if "copy_of" in fields:
                own["copy_of"] = f"{table['id']}-{fields['copy_of']}-{suffix}"
            yield shared | fields | own | {"printed": cells[metric]}
