"""What a counter of energy is to the suite, and what it says where there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NoReturn, Protocol

from attnbench.errors import UserError
from attnbench.records.bounds import Environment


class NoCounterError(UserError):
    """The device has no counter of energy, or this user may not read it; the message says why."""


class Counter(Protocol):
    """Joules that hardware has counted, by domain: ``gpu``, ``package-0``, ``dram-0``."""

    def read_j(self) -> Mapping[str, float]:
        """Return the joules of each domain since some moment; they only grow.

        It is read more often than a register of the hardware can wrap around.
        """

    def power_w(self) -> float | None:
        """Return the power of all domains at this moment; None where no other sensor tells it."""


def none_known(title: str) -> Callable[[Environment], NoReturn]:
    """Return what stands for the counter of a kind of device of which the suite knows none."""

    def refuse(_: Environment) -> NoReturn:
        raise NoCounterError(
            f"--energy: the suite knows no counter of energy of {title} devices; leave it out"
        )

    return refuse
