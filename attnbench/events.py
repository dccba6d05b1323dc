"""What measuring yields: what is about to be done, and the records of what was done."""

from __future__ import annotations

from dataclasses import dataclass

from attnbench.records.schema import Record


@dataclass(frozen=True)
class Beginning:
    """The kind of step that begins, and its variant, or None for all of them."""

    kind: str
    variant: str | None


Event = Beginning | Record
