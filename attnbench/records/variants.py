"""The names of variants: the baselines, and in isolated runs the ceilings and the modules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

PLAIN = "plain"
CONTROL = "control"
"""The plain host a second time, under another name: its true ratio to PLAIN is 1."""

COPY, COPY_AGAIN = "copy", "copy again"
"""A large copy, and the same again: baseline and control of isolated runs without map copies."""

STAGES = (1, 2, 3, 4)
"""All stages of a host."""

Blocks = Literal["all", "last"]
BLOCKS: tuple[str, ...] = get_args(Blocks)
"""The blocks of each stage that modules can stand in."""

PRODUCT, LAUNCH = "product", "launch"
CEILINGS = (COPY, COPY_AGAIN, PRODUCT, LAUNCH)
"""A large copy, the same again, a large matrix product, and the smallest operator."""

RESERVED = (PLAIN, CONTROL, *CEILINGS)
"""The names of variants that are not modules, beside those of map copies."""

Map = tuple[int, int, int]
"""(channels, height, width) of what a module sees of one image."""

AGAIN = " again"

_MAP_COPY = re.compile(r"copy ([1-9]\d{0,9})x([1-9]\d{0,9})x([1-9]\d{0,9})( again)?")


def map_copy(seen: Map) -> str:
    """Return the variant that copies a map of that size: ``copy 256x56x56``."""
    channels, height, width = seen
    return f"copy {channels}x{height}x{width}"


def map_of(variant: str) -> Map | None:
    """Parse the name of a map copy, or of the same again; None for any other variant."""
    match = _MAP_COPY.fullmatch(variant)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def is_ceiling(variant: str) -> bool:
    """Return whether a variant shows a limit of the machine: its rate of copies or products."""
    return variant in CEILINGS or map_of(variant) is not None


def is_reserved(variant: str) -> bool:
    """Return whether a variant is not a module."""
    return variant in RESERVED or is_ceiling(variant)


@dataclass(frozen=True)
class IsolatedModule:
    """A module at its size in the last block of one of the host's stages."""

    module: str
    stage: int

    @property
    def name(self) -> str:
        """The variant's name in a plan: ``sa layer1``."""
        return f"{self.module} layer{self.stage}"


def alone(modules: Iterable[str], maps: Sequence[Map] = ()) -> tuple[str, ...]:
    """Return the variants of an isolated run: the ceilings, then each module at each stage.

    With ``maps``, the sizes that modules see, each once, a copy of the first is the baseline, the
    same again its control, and a large copy one of the ceilings.
    """
    names = (IsolatedModule(module, stage).name for module in modules for stage in STAGES)
    if not maps:
        return (*CEILINGS, *names)
    baseline, *others = map(map_copy, maps)
    return (baseline, baseline + AGAIN, COPY, PRODUCT, LAUNCH, *others, *names)


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
    isolated = bool(variants) and is_ceiling(variants[0])
    if len(set(variants)) < len(variants) or not (isolated or variants[:2] == (PLAIN, CONTROL)):
        raise ValueError("a plan names the baseline, its control, then each module once")
    modules = variants[2:]
    if isolated:
        modules = tuple(dict.fromkeys(known.module for known in map(piece, variants) if known))
        maps = dict.fromkeys(known for known in map(map_of, variants) if known)
        if variants != alone(modules, (*maps,)):
            raise ValueError("an isolated plan names the ceilings, then each module at stages 1-4")
    if unfit := [name for name in modules if not name.strip() or is_reserved(name)]:
        raise ValueError(f"no module can have the name {unfit[0]!r}")
    return variants
