"""Check that a custom module can be measured, at every position it takes in the host.

:mod:`attnbench.hosts.trial` says what is refused; here is where it is tried.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from attnbench.errors import UserError
from attnbench.hosts import trial
from attnbench.hosts.build import build
from attnbench.hosts.conditions import Conditions
from attnbench.hosts.placement.choice import EVERYWHERE, Choice, Size
from attnbench.hosts.placement.fitting import require_site
from attnbench.hosts.positions import positions
from attnbench.hosts.resnets import HOSTS, base_of, is_resnet
from attnbench.modules import AttentionSpec, SettingsError, Site
from attnbench.plugins.resolve import ModuleReference
from attnbench.plugins.watch.integrity import InterferenceError, require_unchanged
from attnbench.records.schema import Shape
from attnbench.system import worker
from attnbench.text import error_line, printable

T = TypeVar("T")

MOST_OF_REFUSAL = 1000
"""Characters of a refusal, whose text may be foreign: custom code can raise a SettingsError."""


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

    A line on stderr says so, and what the module prints follows it, up to a limit. ``where`` is
    put before an error, such as the line that names the module.

    Raises:
        UserError: the module is refused, or has ended its process; the message says why.
    """
    prefix = f"{where}: " if where else ""
    print(f"attnbench: trying {module.name}", file=sys.stderr, flush=True)
    try:
        return worker.call(function, module, *args)
    except SettingsError as error:
        raise UserError(f"{prefix}{printable(str(error), MOST_OF_REFUSAL)}") from error
    except UserError:
        raise
    except worker.ChildDiedError as error:
        raise UserError(f"{prefix}{module.name} is refused: {error}") from error
    except Exception as error:
        raise UserError(f"{prefix}{module.name} is refused: {error_line(error)}") from error


def check(
    module: ModuleReference,
    host: str,
    images: Iterable[Shape],
    conditions: Collection[Conditions] = (),
    choice: Choice = EVERYWHERE,
) -> int:
    """Load a module and check it at its places in the host, for each shape of image.

    An image is a shape (batch, 3, height, width); the batch does not matter. ``conditions`` are
    those of the run, tried beside float32 on the CPU. Return at how many sites it stands.

    Raises:
        SettingsError: it cannot be loaded or is not fit to be measured; the message says why.
    """
    attention = module.load()
    try:
        for image in images:
            where = places(attention, host, (1, *image[1:]), choice)
            try:
                require_fit(attention, where, conditions)
            except InterferenceError:
                raise
            except SettingsError as error:
                fits = "" if is_resnet(host) else _fits_at(attention, host, image, choice)
                raise SettingsError(f"{fits}{error}") from error
    except SettingsError as error:
        why = ". ".join(filter(None, [str(error), module.hint()]))
        raise SettingsError(f"{module.name} is refused: {why}") from error
    return sites(attention, host, choice, (image[2], image[3]))


def sites(attention: AttentionSpec, host: str, choice: Choice, size: Size) -> int:
    """Return at how many sites of a host a choice puts a module."""
    if not is_resnet(host) or choice.at or choice.replace:
        return len(positions(host, choice, size))
    stages = {*choice.stages}
    if choice.blocks == "last" or attention.site is Site.AFTER_STAGE:
        return len(stages)
    return sum(HOSTS[base_of(host)].layers[stage - 1] for stage in stages)


def places(
    attention: AttentionSpec,
    host: str,
    image: Shape,
    choice: Choice = EVERYWHERE,
) -> list[Place]:
    """Return the distinct places of a module in a host for an image (batch, 3, height, width)."""
    if not is_resnet(host) or choice.at or choice.replace:
        sites = _of_any_host(attention, host, image, choice)
        return [*{place.shape: place for place in sites}.values()]
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
        stand_in = replace(attention, build=StandIn)
        size = image[2], image[3]
        network = build(host, stand_in, stages=choice.stages, blocks=choice.blocks, size=size)
        network.eval()(torch.empty(image))
    return seen


def _of_any_host(attention: AttentionSpec, host: str, image: Shape, choice: Choice) -> list[Place]:
    """Return the places in any network, one for each site."""
    sites = positions(host, choice, (image[2], image[3]))
    require_site(attention, host, choice, sites)
    return [
        Place(where.channels, attention.of_place(where.height, where.width), where.shape)
        for where in sites
    ]


def _fits_at(attention: AttentionSpec, host: str, image: Shape, choice: Choice) -> str:
    """Return at how many of the host's sites a module fits, as the beginning of a message."""
    sites = _of_any_host(attention, host, image, choice)
    times = Counter(place.shape for place in sites)
    fitting = 0
    for place in {place.shape: place for place in sites}.values():
        with suppress(SettingsError):
            require_fit(attention, [place])
            fitting += times[place.shape]
    return f"it fits at {fitting} of the {len(sites)} sites of {host}: "


def require_fit(
    attention: AttentionSpec, where: Iterable[Place], conditions: Collection[Conditions] = ()
) -> None:
    """Check the module at each of these places, in evaluation mode.

    On the CPU in float32, then that it runs in the other conditions of the run. One that fails on
    the CPU is checked on their device instead.

    Raises:
        SettingsError: it is not fit to be measured in one of them; the message says why.
    """
    for place in where:
        build = partial(attention.build, place.channels, **place.settings)
        try:
            with require_unchanged("it"):
                trial.require_fit(build, place.shape, place.returned, conditions)
        except BaseException as error:
            size = "x".join(map(str, place.shape))
            kind = InterferenceError if isinstance(error, InterferenceError) else SettingsError
            raise kind(f"on an input of {size} {trial.reason(error)}") from error
