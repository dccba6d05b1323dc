"""The lines of a check, and the forms in which people and machines read them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Something stated, what was computed for it, and whether that is as expected."""

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
        """One sentence for a line that does not hold."""
        return (
            f"{self.subject}: stated {self.stated}, computed {self.computed} ({self.rule}): "
            f"{self.verdict}, where {self.expected} is expected"
        )
