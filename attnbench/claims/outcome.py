"""The lines of a check."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A stated figure or limit, what was computed for it, and whether that is as expected."""

    name: str
    subject: str
    stated: str
    computed: str
    rule: str
    verdict: str
    expected: str
    holds: bool

    @property
    def fault(self) -> str:
        """A sentence for a line that does not hold."""
        return (
            f"{self.subject}: stated {self.stated}, computed {self.computed} ({self.rule}): "
            f"{self.verdict}, expected is {self.expected}"
        )
