"""The bounds of every stored quantity, as types that are checked when a record is made or read.

They leave room for any machine that could be measured, and are narrow enough that ratios, sums and
products of what they admit are finite, and that whole numbers stay exact as floats.
"""

from __future__ import annotations

import re
from math import prod
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

from attnbench.records.variants import planned

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
"""Of every stored object: unknown fields could change what figures mean."""

EXACT = 2**53
"""Up to here a float holds every whole number, and a table's columns are floats."""

SHORTEST_S, LONGEST_S = 1e-9, 1e9
"""From a tick of the finest clock to thirty years."""

Seconds = Annotated[float, Field(ge=SHORTEST_S, lt=LONGEST_S)]
"""Time that work took, or may take."""

Lost = Annotated[float, Field(ge=0, lt=LONGEST_S)]
"""Seconds that counters of the system showed; 0 where nothing happened."""

Spent = Annotated[float, Field(ge=0, lt=LONGEST_S)]
"""Seconds of a part of work, which may be too short for any clock."""

Target = Annotated[float, Field(ge=1e-6, le=0.1)]
"""Half-width of an interval of log-ratios; a wider one would let any control hold, and a narrower
one than a millionth no clock can show."""

Figure = Annotated[int, Field(ge=0, le=EXACT)]
"""Parameters, operations, calls of an operator."""

Bytes = Annotated[int, Field(ge=0, le=EXACT)]

Share = Annotated[float, Field(ge=0, le=1)]
"""Of something that is measured in parts of a whole."""

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]

Number = Annotated[int, Field(ge=0, lt=2**31)]
"""Of a round, from 0; how many rounds."""

MOST_PROCESSES = 1000

Processes = Annotated[int, Field(ge=1, le=MOST_PROCESSES)]
"""Over which the rounds of a run are spread."""

Steps = Annotated[int, Field(ge=1, le=2**32)]

Side = Annotated[int, Field(ge=1, le=2**31)]


def _countable(shape: tuple[int, ...]) -> tuple[int, ...]:
    if prod(shape) > EXACT:
        raise ValueError(f"a tensor has at most {EXACT} elements, not {prod(shape)}")
    return shape


InputShape = Annotated[
    tuple[Side, ...], Field(min_length=4, max_length=4), AfterValidator(_countable)
]
"""(batch, channels, height, width) of a module's input."""

Names = Annotated[tuple[str, ...], AfterValidator(planned)]
"""The variants of a plan."""


def _fact(value: str | float | None) -> str | float | None:
    if isinstance(value, int | float) and not -(2**63) <= value < 2**64:
        raise ValueError("a fact is text, true, false, null or a number below 2**64")
    return value


_Number = Annotated[float, Field(allow_inf_nan=True)]  # refused below, with a clearer message
Fact = Annotated[str | int | _Number | bool | None, AfterValidator(_fact)]
"""Of machine and software."""

_TIME = re.compile(r"[0-9][0-9:T.+Z-]{0,39}")


def _dated(facts: dict[str, Fact]) -> dict[str, Fact]:
    time = facts.get("time")
    if time is not None and not (isinstance(time, str) and _TIME.fullmatch(time)):
        raise ValueError("time is a date and time as in ISO 8601, or null")
    return facts


Environment = Annotated[dict[str, Fact], AfterValidator(_dated)]
"""Facts by their names; ``time`` says when, as in ISO 8601."""
