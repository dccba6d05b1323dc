"""The lines of a check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


def refusal(module: str, why: str) -> str:
    """Return the verdict on a module that is refused."""
    return f"refused: {why.removeprefix(f'{module} is refused: ').removeprefix(f'{module}: ')}"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A stated figure or limit, what was computed for it, and whether that is as expected.

    ``stated`` and ``computed`` are numbers in ``unit``; ``stated_text`` and ``computed_text`` are
    the same for people. ``low`` and ``high`` are the ends of a measured figure's 95% interval.
    """

    kind: Literal["claim", "limit"]
    name: str
    subject: str
    stated: float
    computed: float | None
    unit: str
    stated_text: str
    computed_text: str
    rule: str
    verdict: str
    expected: str
    holds: bool
    code: str
    """Of the verdict, as of ``attnbench explain``."""
    undecided: bool = False
    """Whether what is known allows neither to say that it holds nor that it does not."""
    low: float | None = None
    high: float | None = None
    file: str | None = None
    """Where the limit is written, and its line."""
    line: int | None = None
    seconds: float = 0.0
    """What the check took."""

    @property
    def fault(self) -> str:
        """A sentence for a line that does not hold."""
        if self.kind == "limit":
            return (
                f"{self.subject}: {self.computed_text} ({self.rule}), limit {self.stated_text}: "
                f"{self.verdict}"
            )
        return (
            f"{self.subject}: stated {self.stated_text}, computed {self.computed_text} "
            f"({self.rule}): {self.verdict}, expected is {self.expected}"
        )
