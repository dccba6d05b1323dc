"""A module that nobody here has seen, tried alone in every place that it has in the host.

Whatever fails here would end in the figure of something that is no attention module: it changes
the shape or dtype, computes no numbers or other ones each time, or cannot be copied to be counted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from traceback import extract_tb
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from attnbench.errors import UserError
from attnbench.hosts.build import Blocks, build
from attnbench.modules import AttentionSpec, SettingsError
from attnbench.plugins.resolve import HERE, hint, lookup
from attnbench.plugins.torch_state import undisturbed
from attnbench.records.schema import Shape
from attnbench.records.variants import STAGES
from attnbench.system import worker

IMAGES = 2
"""So that a module which mixes images up has another shape than one that does not."""

ROUNDING = 1e-3
"""Of the largest number; far above what the order of a sum in float32 changes."""

TORCH = str(Path(torch.__file__).parent)


@dataclass(frozen=True)
class Place:
    """What a module is built with there, and the (channels, height, width) that it sees."""

    channels: int
    settings: Mapping[str, Any]
    shape: Shape

    @property
    def returned(self) -> Shape:
        """The shape that it must return: the same, or less by the stride of a convolution."""
        channels, *size = self.shape
        stride = self.settings.get("stride", 1)
        return (channels, *(-(-length // stride) for length in size))


def check_in_subprocess(name: str, *use: Any, **options: Any) -> None:
    """:func:`check`, in a process of its own: what is loaded and tried there may end it.

    Raises:
        UserError: it is not fit to be measured, or has ended its process; the message says why.
    """
    try:
        worker.call(partial(check, name, *use, **options))
    except SettingsError as error:
        raise UserError(str(error)) from error
    except RuntimeError as error:
        raise UserError(f"{name} is refused: {error}") from error


def check(  # noqa: PLR0913, PLR0917  where it will stand
    name: str,
    host: str,
    images: Iterable[Shape],
    stages: Collection[int] = STAGES,
    blocks: Blocks = "all",
    folder: Path = HERE,
) -> None:
    """Load the module of that name and try it as the host will have it for each of the images.

    An image is a shape (batch, 3, height, width); the batch does not matter.

    Raises:
        SettingsError: it cannot be loaded or is not fit to be measured; the message says why.
    """
    attention = lookup(name, folder)
    try:
        for image in images:
            require_fit(attention, places(attention, host, (1, *image[1:]), stages, blocks))
    except SettingsError as error:
        why = ". ".join(filter(None, [str(error), hint(name)]))
        raise SettingsError(f"{name} is refused: {why}") from error


def places(
    attention: AttentionSpec,
    host: str,
    image: Shape,
    stages: Collection[int] = STAGES,
    blocks: Blocks = "all",
) -> list[Place]:
    """The different places of the module in a host that sees an image (batch, 3, height, width)."""
    seen: list[Place] = []

    def stand(channels: int, **settings: Any) -> nn.Module:
        return _Stand(channels, settings, seen)

    with torch.device("meta"), torch.no_grad():
        network = build(host, replace(attention, build=stand), stages=stages, blocks=blocks)
        network.eval()(torch.empty(image))
    return seen


class _Stand(nn.Module):
    """Stands where the module will, and notes what is given to it."""

    def __init__(self, channels: int, settings: dict[str, Any], seen: list[Place]) -> None:
        super().__init__()
        self._built, self._seen = (channels, settings), seen

    def forward(self, x: Tensor) -> Tensor:
        place = Place(*self._built, shape=tuple(x.shape[1:]))
        if place not in self._seen:
            self._seen.append(place)
        return x.new_empty(x.shape[0], *place.returned)


def require_fit(attention: AttentionSpec, where: Iterable[Place]) -> None:
    """Try the module in each of these places, on the CPU in float32 and in evaluation mode.

    Raises:
        SettingsError: it is not fit to be measured in one of them; the message says why.
    """
    for place in where:
        try:
            with undisturbed("it"):
                _require_fit(attention, place)
        except BaseException as error:
            size = "x".join(map(str, place.shape))
            raise SettingsError(f"on an input of {size} {_why(error)}") from error


class _UnfitError(Exception):
    """What is wrong with a module that runs."""


def _require(condition: object, why: str) -> None:
    if not condition:
        raise _UnfitError(why)


def _require_fit(attention: AttentionSpec, place: Place) -> None:
    x = torch.randn(IMAGES, *place.shape, generator=torch.Generator().manual_seed(0))
    module = _built(attention, place)
    _require(isinstance(module, nn.Module), f"it is a {type(module).__name__}, not a torch module")
    _require_sizes(module)
    out = _output(module, x)
    _require_output(out, (IMAGES, *place.returned), x.dtype)
    again, twin = _output(module, x), _output(_built(attention, place), x)
    _require(torch.equal(out, again), "it is not deterministic: the same input, other numbers")
    _require(torch.equal(out, twin), "it is not deterministic: built from one seed, other numbers")
    try:
        copied = _output(deepcopy(module), x)
    except Exception as error:
        raise _UnfitError(f"it cannot be copied: {_said(error)}") from error
    _require(torch.equal(out, copied), "its copy computes other numbers")
    try:
        one = _output(module, x[:1])
        _require_output(one, (1, *place.returned), x.dtype)
        _require(_close(one, out[:1]), "it returns other numbers than for that image among two")
    except Exception as error:
        raise _UnfitError(f"of one image {_why(error)}") from error


def _require_sizes(module: nn.Module) -> None:
    """No lazy parameters: nobody could count them, and the first forward would make them."""
    lazy = [
        name
        for name, tensor in (*module.named_parameters(), *module.named_buffers())
        if is_lazy(tensor)
    ]
    _require(not lazy, f"it is built without the sizes of {', '.join(lazy)} (a lazy layer)")


def _require_output(out: Any, wanted: Shape, dtype: torch.dtype) -> None:
    _require(isinstance(out, Tensor), f"it returns a {type(out).__name__}, not a tensor")
    returned = tuple(out.shape)
    _require(returned == wanted, f"it returns the shape {returned} where {wanted} is wanted")
    _require(out.dtype == dtype, f"it returns {out.dtype} where {dtype} is given")
    _require(torch.isfinite(out).all(), "it returns numbers that are not finite")


def _close(one: Tensor, other: Tensor) -> bool:
    """Whether they differ by rounding alone: torch may sum a smaller batch in another order."""
    most = other.abs().max()
    return bool(((one - other).abs() <= ROUNDING * most).all())


def _built(attention: AttentionSpec, place: Place) -> Any:
    torch.manual_seed(0)
    return attention.build(place.channels, **place.settings)


def _output(module: nn.Module, x: Tensor) -> Any:
    with torch.inference_mode():
        return module.eval()(x.clone())


def _why(error: BaseException) -> str:
    plain = isinstance(error, (_UnfitError, SettingsError))
    return str(error) if plain else f"it fails: {_said(error)}"


def _said(error: BaseException) -> str:
    """What an error says in one line; the line of code that raised it where it says nothing."""
    frames = [f for f in extract_tb(error.__traceback__) if not f.filename.startswith(TORCH)]
    return f"{type(error).__name__}: {' '.join(str(error).split()) or frames[-1].line}"
