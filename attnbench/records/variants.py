"""The names of variants: the baselines, and in isolated runs the ceilings and the modules."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

PLAIN = "plain"
CONTROL = "control"
"""The plain host a second time, under another name: its true ratio to PLAIN is 1."""

COPY, COPY_AGAIN = "copy", "copy again"
"""Baseline and control of isolated runs: a large copy, twice."""

BASELINES = ((PLAIN, CONTROL), (COPY, COPY_AGAIN))

STAGES = (1, 2, 3, 4)
"""All stages of a host."""

PRODUCT, LAUNCH = "product", "launch"
CEILINGS = (COPY, COPY_AGAIN, PRODUCT, LAUNCH)
"""A large copy, the same again, a large matrix product, and the smallest operator."""

RESERVED = (PLAIN, CONTROL, *CEILINGS)
"""The names of variants that are not modules."""


@dataclass(frozen=True)
class IsolatedModule:
    """A module at its size in the last block of one of the host's stages."""

    module: str
    stage: int

    @property
    def name(self) -> str:
        """The variant's name in a plan: ``sa layer1``."""
        return f"{self.module} layer{self.stage}"


def alone(modules: Iterable[str]) -> tuple[str, ...]:
    """Return the variants of an isolated run: the ceilings, then each module at each stage."""
    names = (IsolatedModule(module, stage).name for module in modules for stage in STAGES)
    return (*CEILINGS, *names)


def piece(variant: str) -> IsolatedModule | None:
    """Parse a variant's name such as ``sa layer1``; None for a ceiling, and what has no stage."""
    match = re.fullmatch(r"(.*) layer([1-4])", variant, re.DOTALL)
    return IsolatedModule(match[1], int(match[2])) if match else None


def planned(variants: tuple[str, ...]) -> tuple[str, ...]:
    """Return the variants if they can be those of a plan.

    Raises:
        ValueError: they are not the baseline, its control and then each module once, and in an
            isolated run the ceilings, then each module at every stage.
    """
    if variants[:2] not in BASELINES or len(set(variants)) < len(variants):
        raise ValueError("a plan names the baseline, its control, then each module once")
    modules = variants[2:]
    if variants[0] == COPY:
        modules = tuple(dict.fromkeys(known.module for known in map(piece, variants) if known))
        if variants != alone(modules):
            raise ValueError("an isolated plan names the ceilings, then each module at stages 1-4")
    if unfit := [name for name in modules if not name.strip() or name in RESERVED]:
        raise ValueError(f"no module can have the name {unfit[0]!r}")
    return variants
