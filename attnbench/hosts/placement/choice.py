"""Which positions of a host carry the module, as a case states it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from attnbench.records.case import Case
from attnbench.records.variants import STAGES, Blocks

Size = tuple[int, int]
"""Height and width of an image."""


@dataclass(frozen=True)
class Choice:
    """Stages, blocks of each stage, patterns of paths, and the kind of module that gives way."""

    stages: Collection[int] = STAGES
    blocks: Blocks = "all"
    at: str = ""
    replace: str = ""

    @classmethod
    def of(cls, case: Case) -> Choice:
        """Return a case's."""
        return cls(case.stages, case.blocks, case.at, case.replace)


EVERYWHERE = Choice()
