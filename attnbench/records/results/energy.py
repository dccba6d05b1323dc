"""The energy of variants: what a counter of the hardware showed over windows of steps."""

from __future__ import annotations

from collections.abc import Mapping
from math import fsum
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from attnbench.records.bounds import STRICT, Number, Seconds, Steps

LEAST_WINDOW_S = 5.0
"""A counter is brought up to date some ten times a second: over less it is off by percents."""

LEAST_ROUNDS = 6
"""Of fewer there is no 95% interval."""

MOST_ROUNDS = 1000

EnergyRounds = Annotated[int, Field(ge=0, le=MOST_ROUNDS)]

Joules = Annotated[float, Field(gt=0, lt=1e12)]
"""A counter that stood still is an error, not an energy of 0."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Window:
    """Consecutive steps of one variant, and the joules that each domain took meanwhile.

    A domain is what has a counter of its own: ``gpu`` (the whole board), ``package-0`` (a whole
    socket), ``dram-0`` (the memory behind it). ``power_j`` is the integral of the power that a
    sensor beside the counter showed, over the same seconds; None where there is none.
    """

    variant: str
    steps: Steps
    seconds: Seconds
    joules: Annotated[Mapping[str, Joules], Field(min_length=1)]
    power_j: Joules | None = None

    def __post_init__(self) -> None:
        if self.seconds < LEAST_WINDOW_S:
            raise ValueError(f"a window of energy lasts at least {LEAST_WINDOW_S:g} s")

    @property
    def total_j(self) -> float:
        """The joules of all domains."""
        return fsum(self.joules.values())


@dataclass(frozen=True, kw_only=True, config=STRICT)
class EnergyRound:
    """Every variant's window once, in the order in which they ran.

    ``shared``: another measurement of this suite ran on the same device, as far as was seen when
    the round had ended.
    """

    kind: Literal["energy"] = "energy"
    number: Number
    windows: tuple[Window, ...]
    shared: bool = False

    def __post_init__(self) -> None:
        if len({frozenset(window.joules) for window in self.windows}) > 1:
            raise ValueError("all windows of a round are of the same domains")
