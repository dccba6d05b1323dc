"""Operators that no table knows: which figures they leave too low, and how tables mark these."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from attnbench.records.run import Run
from attnbench.records.schema import Count
from attnbench.records.variants import PLAIN

EXECUTED = "executed"
"""The rule that counts every operator that ran: what it leaves at zero is in no table."""

AT_LEAST = "≥"
"""Precedes a figure that may be larger."""

OF_EXECUTED = ("kernels", "moved_bytes", "macs", "other_operations")
"""Columns of figures of that rule. A peak of live bytes is none: outputs are followed all the
same."""


def unknown(run: Run, variant: str, rule: str = EXECUTED) -> Counter[str]:
    """Return the unknown operators that a variant ran, with how often."""
    count = run.counts.get(variant, {}).get(rule)
    return Counter({} if count is None else count.not_counted or {})


def beyond_plain(run: Run, variant: str) -> Counter[str]:
    """Return those that the plain host does not run as often."""
    return unknown(run, variant) - unknown(run, PLAIN)


def written(operators: Mapping[str, int]) -> str:
    """Return ``aten.one x2, aten.other x1``."""
    return ", ".join(f"{name} x{times}" for name, times in sorted(operators.items()))


def too_low(run: Run, variant: str, rules: Sequence[str]) -> list[str]:
    """Return the keys of columns whose figure may be too low, of a network's row.

    Of other rules those that left the same operators at zero; a difference to the plain host only
    where the module itself adds some.
    """
    keys = []
    for operators, added in ((unknown(run, variant), ""), (beyond_plain(run, variant), "added_")):
        if operators:
            keys += [f"{added}{key}" for key in OF_EXECUTED]
            keys += [
                f"{added}{rule}_operations"
                for rule in rules
                if operators.keys() & _left_at_zero(run, variant, rule)
            ]
    return keys


def _left_at_zero(run: Run, variant: str, rule: str) -> set[str]:
    count = run.counts.get(variant, {}).get(rule, Count())
    return {name.replace("::", ".") for name in count.not_counted or {}}
