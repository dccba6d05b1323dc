"""Names of what is timed where modules run alone: four ceilings' measures, then the pieces."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

PLAIN = "plain"
CONTROL = "control"
"""The plain host a second time, under another name: its ratio to PLAIN is known to be 1."""

COPY, COPY_AGAIN = "copy", "copy again"
"""Baseline and control where modules run alone, outside of a host: a large copy, twice."""

BASELINES = ((PLAIN, CONTROL), (COPY, COPY_AGAIN))

STAGES = (1, 2, 3, 4)
"""All stages of a host."""

PRODUCT = "product"
LAUNCH = "launch"
CEILINGS = (COPY, COPY_AGAIN, PRODUCT, LAUNCH)
"""A large copy, the same again, a large matrix product, and the smallest operator there is."""

RESERVED = (PLAIN, CONTROL, *CEILINGS)
"""What records call the variants that are no modules."""


@dataclass(frozen=True)
class IsolatedModule:
    """A module at the size that it has in the last block of one of the host's stages."""

    module: str
    stage: int

    @property
    def name(self) -> str:
        """The variant's name in a plan: ``sa layer1``."""
        return f"{self.module} layer{self.stage}"


def alone(modules: Iterable[str]) -> tuple[str, ...]:
    """The variants of an isolated run: the ceilings, then each module at each stage."""
    return (
        *CEILINGS,
        *(IsolatedModule(module, stage).name for module in modules for stage in STAGES),
    )


def piece(variant: str) -> IsolatedModule | None:
    """What :attr:`IsolatedModule.name` named; None for a ceiling's measure."""
    module, separator, stage = variant.rpartition(" layer")
    return IsolatedModule(module, int(stage)) if separator else None
