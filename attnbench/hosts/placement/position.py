"""A position of a network that can carry a module: after which part, and what passes there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2

from attnbench.hosts.placement.choice import Size
from attnbench.records.schema import Shape
from attnbench.records.variants import STAGES

MAP = 4
"""Axes of a batch of maps."""


class NoPositionError(ValueError):
    """A module returns nothing that an attention module could take; the message says why."""


@dataclass(frozen=True)
class Position:
    """A part of the network whose output, (channels, height, width) an image, is taken."""

    site: str
    """The path of the part."""
    kind: str
    """Its class."""
    channels: int
    height: int
    width: int
    axis: int
    """That of the channels: 1, or 3 in a channels-last map (batch, height, width, channels)."""
    stage: int
    before: bool = False
    """Whether the part's input is taken: the part hands it on unchanged."""
    replaces: bool = False
    """Whether the part gives way."""
    block: str = ""
    """The path of the residual block that it ends the branch of, where that returns such a map."""

    @property
    def shape(self) -> Shape:
        """Channels, height and width."""
        return (self.channels, self.height, self.width)


def stage_of(height: int, size: Size) -> int:
    """Return the stage by resolution: 1 for a quarter of the image's height or more, ... 4.

    As in a ResNet: stages 2, 3 and 4 have an eighth, a 16th and a 32nd.
    """
    level = round(log2(max(size[0] / height, 1)))
    return min(max(level - 1, STAGES[0]), STAGES[-1])


def channel_axis(first: Shape, second: Shape | None, size: Size) -> int:
    """Return the axis of the channels, given the shapes for two images of different sides.

    Without the second, by which axes have the image's proportions.

    Raises:
        NoPositionError: there is none, or it is not known which it is.
    """
    if len(first) != MAP:
        raise NoPositionError(f"it returns {_text(first)}, which is no map with height and width")
    if second is not None and len(second) == MAP:
        kept = [axis for axis in range(1, MAP) if first[axis] == second[axis]]
        if not kept:
            raise NoPositionError(f"no axis of {_text(first)} is that of channels: all vary")
    else:
        height, width = size
        sides = {1: first[2:], 3: first[1:3]}
        kept = [axis for axis, (h, w) in sides.items() if abs(h * width - w * height) < max(size)]
    if len(kept) != 1 or kept[0] == 2:  # noqa: PLR2004  between the sides
        raise NoPositionError(f"it is not known which axis of {_text(first)} is that of channels")
    return kept[0]


def position(
    site: str, kind: str, shapes: tuple[Sequence[Shape | None], Sequence[Shape | None]], size: Size
) -> Position:
    """Return the position after a module, given what its calls returned in both forwards.

    Raises:
        NoPositionError: it was not called once, or returned no map.
    """
    first, second = shapes
    if not first:
        raise NoPositionError("no forward in evaluation mode calls it")
    if len(first) > 1:
        raise NoPositionError(f"a forward calls it {len(first)} times")
    if first[0] is None:
        raise NoPositionError("it returns no single tensor")
    axis = channel_axis(first[0], second[0] if second else None, size)
    height, width = (first[0][number] for number in range(1, MAP) if number != axis)
    stage = stage_of(height, size)
    return Position(site, kind, first[0][axis], height, width, axis, stage)


def _text(shape: Shape) -> str:
    return "(" + ", ".join(map(str, ("batch", *shape[1:]))) + ")"
