"""What is known of a host's modules from two forwards on images of different sides and numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from attnbench.counting.twin import copy_with, twin
from attnbench.hosts.placement.choice import Size
from attnbench.hosts.placement.graph import Graph, UntraceableError, record, shapes
from attnbench.hosts.placement.position import NoPositionError, Position, position
from attnbench.hosts.placement.residual import Addition, additions
from attnbench.records.schema import Shape
from attnbench.text import error_line

LARGER = (64, 128)
"""Added to height and width for the second forward: networks may need sides divisible by 32."""


class ForwardError(Exception):
    """A network's forward fails on images of a size; the message says how."""


@dataclass(frozen=True)
class Survey:
    """A network's modules: classes by path, what each call returned, the graph of one forward."""

    size: Size
    kinds: dict[str, str]
    first: dict[str, list[Shape | None]]
    second: dict[str, list[Shape | None]]
    """Empty where the network takes images of one size alone."""
    graph: Graph | None
    without_data: str = ""
    """Why the forward fails on fake tensors; then it ran with data."""

    @cached_property
    def additions(self) -> Sequence[Addition]:
        """The additions of two maps with a common source."""
        return [] if self.graph is None else [*additions(self.graph)]

    def position(self, site: str) -> Position:
        """Return the position after a module.

        Raises:
            NoPositionError: a forward does not call it once, or it returns no map.
        """
        calls = (self.first.get(site, []), self.second.get(site, []))
        return position(site, self.kinds[site], calls, self.size)

    def example(self) -> str:
        """Return a pattern that a user could begin with: of the modules that most maps come from.

        Norms first, then convolutions, then any.
        """
        groups: Counter[tuple[int, str]] = Counter()
        for path, kind in self.kinds.items():
            with suppress(NoPositionError):
                self.position(path)
                rank = next(n for n, word in enumerate(("Norm", "Conv2d", "")) if word in kind)
                names = ("*" if name.isdecimal() else name for name in path.split("."))
                groups[rank, ".".join(names) + f"@{kind}"] += 1
        best = min(groups, key=lambda group: (group[0], -groups[group]), default=(0, ""))
        return best[1]

    def in_order(self, paths: Sequence[str]) -> list[str]:
        """Sort paths by when their modules first returned; those never called come last."""
        order = {path: number for number, path in enumerate(self.first)}
        return sorted(paths, key=lambda path: order.get(path, len(order)))


def survey(network: nn.Module, size: Size) -> Survey:
    """Run a network's forward in evaluation mode on fake images; with data where that fails.

    Raises:
        ForwardError: it fails on images of this size either way.
    """
    images = (1, 3, *size)
    kinds = {path: type(module).__name__ for path, module in network.named_modules()}
    graph, untraceable = None, ""
    try:
        graph = record(network, images)
    except UntraceableError as error:
        untraceable = str(error)
        graph = _with_data(network, size)
    first = returned(network, images, untraceable)
    try:
        larger = (size[0] + LARGER[0], size[1] + LARGER[1])
        second = returned(network, (2, 3, *larger), untraceable)
    except ForwardError:  # images of one size alone
        second = {}
    return Survey(size, kinds, first, second, graph, untraceable)


def _with_data(network: nn.Module, size: Size) -> Graph | None:
    """Record a forward that depends on the values in its tensors."""
    if not _holds_data(network):
        return None
    try:
        return record(network, _noise((1, 3, *size)))
    except UntraceableError:
        return None


def returned(network: nn.Module, images: Shape, untraceable: str) -> dict[str, list[Shape | None]]:
    """Return what each call of each module returns, on fake images or, if ``untraceable``, noise.

    Raises:
        ForwardError: the forward fails.
    """
    try:
        try:
            return shapes(*twin(network, images))
        except Exception:
            if not (untraceable and _holds_data(network)):
                raise
            return shapes(copy_with(network, _copy).eval(), _noise(images))
    except Exception as error:
        raise ForwardError(untraceable or error_line(error)) from error


def _holds_data(network: nn.Module) -> bool:
    return not any(tensor.is_meta for tensor in network.parameters())


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().clone()


def _noise(shape: Shape) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), device="cpu")
