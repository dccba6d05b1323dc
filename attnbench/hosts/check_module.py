"""Check that a custom module can be measured, at every position it takes in the host.

A module is refused if it changes the shape or dtype, returns numbers that are not finite or not
the same each time, or cannot be copied to be counted: its figures would be wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from traceback import extract_tb
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from attnbench.errors import UserError
from attnbench.hosts.build import Blocks, build
from attnbench.modules import AttentionSpec, SettingsError
from attnbench.plugins.resolve import ModuleReference
from attnbench.plugins.torch_state import require_unchanged
from attnbench.records.schema import Shape
from attnbench.records.variants import STAGES
from attnbench.system import messages, worker

T = TypeVar("T")

IMAGES = 2
"""Batch size of the check: a module that mixes the images of a batch changes the result."""

ROUNDING = 1e-3
"""Tolerance relative to the largest number; far above the effect of the order of a sum."""

TORCH = str(Path(torch.__file__).parent)


@dataclass(frozen=True)
class Place:
    """What a module is built with there, and the (channels, height, width) of its input."""

    channels: int
    settings: Mapping[str, Any]
    shape: Shape

    @property
    def returned(self) -> Shape:
        """The shape of its output: that of the input, divided by the stride of a convolution."""
        channels, *size = self.shape
        stride = self.settings.get("stride", 1)
        return (channels, *(-(-length // stride) for length in size))


def in_subprocess(
    function: Callable[..., T], module: ModuleReference, *args: object, where: str = ""
) -> T:
    """Call ``function(module, *args)`` in a child process, which the module's code may end.

    ``where`` is put before an error, such as the line that names the module.

    Raises:
        UserError: the module is refused, or has ended its process; the message says why.
    """
    prefix = f"{where}: " if where else ""
    try:
        return worker.call(function, module, *args)
    except SettingsError as error:
        raise UserError(f"{prefix}{error}") from error
    except UserError:
        raise
    except worker.ChildDiedError as error:
        raise UserError(f"{prefix}{module.name} is refused: {error}") from error
    except Exception as error:
        reason = f"{type(error).__name__}: {messages.text_of(error)}"
        raise UserError(f"{prefix}{module.name} is refused: {reason}") from error


def check(
    module: ModuleReference,
    host: str,
    images: Iterable[Shape],
    stages: Collection[int] = STAGES,
    blocks: Blocks = "all",
) -> None:
    """Load a module and check it at its places in the host, for each shape of image.

    An image is a shape (batch, 3, height, width); the batch does not matter.

    Raises:
        SettingsError: it cannot be loaded or is not fit to be measured; the message says why.
    """
    attention = module.load()
    try:
        for image in images:
            require_fit(attention, places(attention, host, (1, *image[1:]), stages, blocks))
    except SettingsError as error:
        why = ". ".join(filter(None, [str(error), module.hint()]))
        raise SettingsError(f"{module.name} is refused: {why}") from error


def places(
    attention: AttentionSpec,
    host: str,
    image: Shape,
    stages: Collection[int] = STAGES,
    blocks: Blocks = "all",
) -> list[Place]:
    """Return the distinct places of a module in a host for an image (batch, 3, height, width)."""
    seen: list[Place] = []

    class StandIn(nn.Module):
        def __init__(self, channels: int, **settings: Any) -> None:
            super().__init__()
            self.built = (channels, settings)

        def forward(self, x: Tensor) -> Tensor:
            place = Place(*self.built, shape=tuple(x.shape[1:]))
            if place not in seen:
                seen.append(place)
            return x.new_empty(x.shape[0], *place.returned)

    with torch.device("meta"), torch.no_grad():
        network = build(host, replace(attention, build=StandIn), stages=stages, blocks=blocks)
        network.eval()(torch.empty(image))
    return seen


def require_fit(attention: AttentionSpec, where: Iterable[Place]) -> None:
    """Check the module at each of these places, on the CPU in float32 and evaluation mode.

    Raises:
        SettingsError: it is not fit to be measured in one of them; the message says why.
    """
    for place in where:
        try:
            with require_unchanged("it"):
                _require_fit(attention, place)
        except BaseException as error:
            size = "x".join(map(str, place.shape))
            raise SettingsError(f"on an input of {size} {_reason(error)}") from error


def _require(condition: object, reason: str) -> None:
    if not condition:
        raise SettingsError(reason)


def _require_fit(attention: AttentionSpec, place: Place) -> None:
    x = torch.randn(IMAGES, *place.shape, generator=torch.Generator().manual_seed(0))
    module = _built(attention, place)
    _require(isinstance(module, nn.Module), f"it is a {type(module).__name__}, not a torch module")
    tensors = chain(module.named_parameters(), module.named_buffers())
    lazy = [name for name, tensor in tensors if is_lazy(tensor)]  # not counted before a forward
    _require(not lazy, f"it is built without the sizes of {', '.join(lazy)} (a lazy layer)")
    out = _output(module, x)
    _require_output(out, (IMAGES, *place.returned), x.dtype)
    again, twin = _output(module, x), _output(_built(attention, place), x)
    _require(torch.equal(out, again), "it is not deterministic: the same input, other numbers")
    _require(torch.equal(out, twin), "it is not deterministic: built from one seed, other numbers")
    try:
        copied = _output(deepcopy(module), x)
    except Exception as error:
        raise SettingsError(f"it cannot be copied: {_one_line(error)}") from error
    _require(torch.equal(out, copied), "its copy computes other numbers")
    try:
        one = _output(module, x[:1])
        _require_output(one, (1, *place.returned), x.dtype)
        # By rounding alone they may differ: a smaller batch may be summed otherwise.
        close = ((one - out[:1]).abs() <= ROUNDING * out[:1].abs().max()).all()
        _require(close, "it returns other numbers than for that image among two")
    except Exception as error:
        raise SettingsError(f"of one image {_reason(error)}") from error


def _require_output(out: Any, expected: Shape, dtype: torch.dtype) -> None:
    _require(isinstance(out, Tensor), f"it returns a {type(out).__name__}, not a tensor")
    returned = tuple(out.shape)
    _require(returned == expected, f"it returns the shape {returned}, expected is {expected}")
    _require(out.dtype == dtype, f"it returns {out.dtype} for an input of {dtype}")
    _require(torch.isfinite(out).all(), "it returns numbers that are not finite")


def _built(attention: AttentionSpec, place: Place) -> Any:
    torch.manual_seed(0)
    return attention.build(place.channels, **place.settings)


def _output(module: nn.Module, x: Tensor) -> Any:
    with torch.inference_mode():
        return module.eval()(x.clone())


def _reason(error: BaseException) -> str:
    return str(error) if isinstance(error, SettingsError) else f"it fails: {_one_line(error)}"


def _one_line(error: BaseException) -> str:
    """Return an error's message, or where it is empty the line of code that raised it."""
    frames = [f for f in extract_tb(error.__traceback__) if not f.filename.startswith(TORCH)]
    return f"{type(error).__name__}: {' '.join(str(error).split()) or frames[-1].line}"
