"""Check that a host that is not one of the suite's ResNets can be measured, before it is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import torch
from torch import Tensor, nn

from attnbench.counting.twin import copy_with, mode_of, twin
from attnbench.errors import UserError
from attnbench.hosts.networks import default_size, plain
from attnbench.hosts.placement import fitting
from attnbench.hosts.placement.choice import Choice, Size
from attnbench.hosts.placement.listing import Listing, listing
from attnbench.hosts.positions import positions, surveyed
from attnbench.modules import SettingsError
from attnbench.plugins.host_reference import HostReference, parse_host
from attnbench.plugins.resolve import ModuleReference
from attnbench.plugins.watch.integrity import require_unchanged
from attnbench.records import image_size
from attnbench.records.case import RunOptions
from attnbench.records.schema import Shape
from attnbench.records.variants import STAGES
from attnbench.system import worker
from attnbench.text import error_line, printable

T = TypeVar("T")

LOGITS = 2
"""Axes of logits: images, classes."""


@dataclass(frozen=True)
class Checked:
    """What a host is found to be: its sites, and the modules that do not fit them, with reasons."""

    sites: int
    left_out: dict[str, str]


@dataclass(frozen=True)
class HostTrial:
    """A host, where it carries modules, and what a run asks of it.

    An image is a shape (batch, 3, height, width).
    """

    host: HostReference
    choice: Choice
    images: Sequence[Shape]
    training: bool = False
    isolated: bool = False


def apart(trial: HostTrial, modules: Iterable[ModuleReference]) -> Checked:
    """Check a host, and the suite's modules in it; code of other parties in a child process.

    Raises:
        UserError: the host cannot be measured; the message says why.
    """
    return called(check, trial.host, trial, [*modules])


def size_apart(host: str) -> Size:
    """Return the default size of a host's images; code of other parties in a child process.

    Raises:
        UserError: the host cannot be built.
    """
    reference = parse_host(host)
    return called(default_size, reference, reference.name)


def places_apart(options: RunOptions) -> Listing:
    """List the places of a host that the options state; see :func:`listing.listing`.

    Raises:
        UserError: it cannot be built or run, or the options take none of its modules.
    """
    reference = parse_host(options.host or "")
    return called(_listed, reference, reference.name, options)


def _listed(host: str, options: RunOptions) -> Listing:
    size = image_size.sides(options.image_size[0]) if options.image_size else default_size(host)
    choice = Choice(at=options.at or "", replace=options.replace or "")
    return listing(host, choice, size)


def called(function: Callable[..., T], reference: HostReference, *arguments: object) -> T:
    """Call a function that builds the host; in a child process where its code is custom.

    Raises:
        UserError: the host is refused, or its code has ended the process.
    """
    if not reference.is_custom:
        return function(*arguments)
    print(f"attnbench: trying host {reference.name}", file=sys.stderr, flush=True)
    try:
        return worker.call(function, *arguments)
    except (SettingsError, UserError) as error:
        raise UserError(printable(str(error))) from error
    except worker.ChildDiedError as error:
        raise UserError(f"host {reference.name} is refused: {error}") from error
    except Exception as error:
        raise UserError(f"host {reference.name} is refused: {error_line(error)}") from error


def check(trial: HostTrial, modules: Iterable[ModuleReference]) -> Checked:
    """Build a host, run it on images of every size, find its sites and which modules fit them.

    Raises:
        SettingsError: it cannot be measured, or a custom one changes the process it runs in.
    """
    host = trial.host.name
    if trial.host.is_custom:
        trial.host.load()  # packages change torch as they are imported, before anything is measured
        with require_unchanged(f"host {host}: building and running it"):
            _require_one_network(host)
            surveyed(host, _size(trial.images[0]))
    found = [positions(host, trial.choice, _size(image)) for image in trial.images]
    where = found[0]
    if trial.training:
        require_logits(host, trial.images[0])
    if trial.isolated and (lacking := {*STAGES} - {position.stage for position in where}):
        raise SettingsError(
            f"--isolated measures a module at each of the stages 1 to 4; {host} has no site in "
            f"stage {min(lacking)}"
        )
    left_out = {}
    for module in modules:
        try:
            with torch.device("meta"):
                fitting.modules(module.load(), where, host, {}, trial.choice)
        except SettingsError as error:
            left_out[module.name] = str(error)
    return Checked(len(where), left_out)


def _size(image: Shape) -> Size:
    return image[2], image[3]


def _require_one_network(host: str) -> None:
    """Refuse a factory that ignores the seed: all variants have the same values in the host."""
    networks = []
    for _ in range(2):
        torch.manual_seed(0)
        networks.append(plain(host))
    one, other = (dict(network.named_parameters()) for network in networks)
    if one.keys() != other.keys():
        raise SettingsError(f"{host}: its function returns another network each time")
    unlike = [name for name, value in one.items() if not torch.equal(value, other[name])]
    if unlike:
        raise SettingsError(
            f"{host}: built twice from one seed of torch, {unlike[0]} has other values, so that no "
            "two variants would have the same network"
        )


@lru_cache
def require_logits(host: str, image: Shape) -> int:
    """Return the number of classes of a network that returns logits (batch, classes) in training.

    Raises:
        SettingsError: it returns something else, or its forward fails in training mode.
    """
    with torch.random.fork_rng(devices=()), torch.device("cpu"):
        network = plain(host)
    out = _output(network, host, image)
    if not isinstance(out, Tensor) or out.dim() != LOGITS:
        what = "a tensor of other axes" if isinstance(out, Tensor) else f"a {type(out).__name__}"
        raise SettingsError(
            f"--mode training takes its loss from logits (batch, classes); in training mode {host} "
            f"returns {what}"
        )
    return out.shape[1]


def _output(network: nn.Module, host: str, image: Shape) -> object:
    shape = (max(image[0], 2), *image[1:])  # a norm of one place an image needs two images
    model, images = twin(network, shape)
    try:
        with torch.no_grad(), mode_of(images):
            return model.train()(images)
    except Exception:
        try:
            model = copy_with(network, lambda tensor: tensor.detach().clone()).train()
            with torch.no_grad():
                return model(torch.zeros(shape, device="cpu"))
        except Exception as error:
            raise SettingsError(f"{host} fails in training mode: {error_line(error)}") from error
