"""Hold two modules against each other on equal weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from math import isfinite
from typing import Literal

import torch
from torch import Tensor, nn

from attnbench.counting.dispatch import Trace
from attnbench.errors import UserError
from attnbench.modules import SettingsError
from attnbench.plugins.resolve import ModuleReference
from attnbench.text import error_line

IMAGES, SIDES, SCALES = 2, (14, 7), (0.1, 1.0, 10.0, 100.0)
"""Maps that both modules are given: images in a batch, sides of a map, and scales of its values.

Of small values alone, a ReLU6 would be a ReLU; of large ones alone, every gate would be open or
shut.
"""

SAME = 1e-9
"""Largest difference, relative to the largest number, that rounding in float64 can explain."""


Code = Literal["same", "different", "incomparable"]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What two modules have in common. ``difference`` is None where they cannot be compared.

    ``pairs`` are the tensors that were made equal, ``alone`` those without a counterpart.
    ``operators`` are those that one of them runs more often, with both numbers of calls.
    """

    names: tuple[str, str]
    channels: int
    params: tuple[int, int]
    pairs: tuple[tuple[str, str], ...]
    alone: tuple[tuple[str, ...], tuple[str, ...]]
    operators: Mapping[str, tuple[int, int]]
    difference: float | None
    code: Code
    """Of the verdict, as of ``attnbench explain``."""
    reason: str = ""
    """Why they cannot be compared."""

    @property
    def same(self) -> bool:
        """Whether both compute the same, up to rounding, from the same learnable tensors."""
        return self.code == "same"


def compare(
    references: tuple[ModuleReference, ModuleReference],
    channels: int,
    mapped: Mapping[str, str] | None = None,
    seed: int = 0,
) -> Comparison:
    """Build both in float64 and evaluation mode, give them equal weights, compare their outputs.

    Learnable tensors and running statistics are noise of the seed: many start at zero, where a
    module is the identity. They are paired by ``mapped`` (a name of the first to one of the
    second), then where all other names and shapes agree by name, else by shape and order.

    Raises:
        SettingsError: one cannot be loaded or built with that number of channels.
        UserError: ``mapped`` names a tensor that there is not, or two of different sizes.
    """
    one, other = (_built(reference, channels) for reference in references)
    pairs, alone = _paired(_tensors(one), _tensors(other), mapped or {})
    _fill(one, seed)
    state, target = _tensors(one), _tensors(other)
    with torch.no_grad():
        for mine, its in pairs:
            target[its].copy_(state[mine].reshape(target[its].shape))
    calls: list[Counter[str]] = []
    difference, reason = None, ""
    missing = [
        f"{name} of {reference.name}"
        for reference, module, names in zip(references, (one, other), alone, strict=True)
        for name in names
        if name in dict(module.named_parameters())
    ]
    if missing:
        reason = f"no counterpart for {', '.join(missing)}; --map A=B names it"
    with _named(references):
        for module in (one, other):
            with torch.no_grad(), Trace() as trace:
                module(_map(channels, SIDES[0], SCALES[0], seed))
            calls.append(trace.not_counted)
        if not reason:
            difference, reason = _difference(one, other, channels, seed)
    return Comparison(
        names=(references[0].name, references[1].name),
        channels=channels,
        params=(_count(one), _count(other)),
        pairs=tuple(pairs),
        alone=alone,
        operators=dict(_more_often(*calls)),
        difference=difference,
        code=_code(difference),
        reason=reason,
    )


def _code(difference: float | None) -> Code:
    if difference is None:
        return "incomparable"
    return "same" if difference <= SAME else "different"


def _built(reference: ModuleReference, channels: int) -> nn.Module:
    torch.manual_seed(0)
    with _named((reference,)):
        module = reference.load().build(channels)
    if not isinstance(module, nn.Module):
        raise SettingsError(f"{reference.name} is a {type(module).__name__}, not a torch module")
    return module.double().eval()


@contextmanager
def _named(references: Iterable[ModuleReference]) -> Iterator[None]:
    """Turn what custom code raises into an error that names it."""
    try:
        yield
    except (UserError, SettingsError):
        raise
    except Exception as error:
        names = " or ".join(reference.name for reference in references)
        raise SettingsError(f"{names} fails: {error_line(error)}") from error


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    """Return parameters and buffers of floating-point or complex numbers by name."""
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return {
        name: tensor
        for name, tensor in tensors.items()
        if tensor.is_floating_point() or tensor.is_complex()
    }


def _paired(
    ones: Mapping[str, Tensor], others: Mapping[str, Tensor], mapped: Mapping[str, str]
) -> tuple[list[tuple[str, str]], tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return the pairs of names, and the names without one, of the first and of the second."""
    for mine, its in mapped.items():
        for name, known in ((mine, ones), (its, others)):
            if name not in known:
                raise UserError(f"there is no tensor {name}; there are {', '.join(known)}")
        if ones[mine].numel() != others[its].numel():
            raise UserError(
                f"{mine} has {ones[mine].numel():,} values, {its} has {others[its].numel():,}"
            )
        if ones[mine].is_complex() != others[its].is_complex():
            raise UserError(f"of {mine} and {its}, one is of complex numbers, the other is not")
    pairs = list(mapped.items())
    left = {name: _form(t) for name, t in ones.items() if name not in mapped}
    right = {name: _form(t) for name, t in others.items() if name not in mapped.values()}
    if left == right:
        return pairs + [(name, name) for name in left], ((), ())
    for name, form in list(left.items()):
        found = next((other for other in right if right[other] == form), None)
        if found is not None:
            pairs.append((name, found))
            del left[name], right[found]
    return pairs, (tuple(left), tuple(right))


def _form(tensor: Tensor) -> tuple[bool, tuple[int, ...]]:
    """Return whether it is complex, and its sides longer than 1.

    So a 1x1 convolution's weights have the form of a linear layer's.
    """
    return tensor.is_complex(), tuple(side for side in tensor.shape if side > 1)


def _fill(module: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in _tensors(module).items():
            noise = torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)
            tensor.copy_(noise.abs() + 0.5 if name.endswith("var") else noise)


def _map(channels: int, side: int, scale: float, seed: int) -> Tensor:
    """Return noise (images, channels, side, side) with a mean of its own in every channel."""
    generator = torch.Generator().manual_seed(seed + side)
    shapes = ((IMAGES, channels, side, side), (IMAGES, channels, 1, 1))
    noise, means = (torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes)
    return scale * (noise + means)


def _difference(
    one: nn.Module, other: nn.Module, channels: int, seed: int
) -> tuple[float | None, str]:
    """Return the largest relative difference over all maps, or why there is none."""
    largest = 0.0
    for side, scale in product(SIDES, SCALES):
        with torch.no_grad():
            mine, its = (module(_map(channels, side, scale, seed)) for module in (one, other))
        if mine.shape != its.shape:
            return None, f"outputs of {tuple(mine.shape)} and {tuple(its.shape)}"
        # Of what is zero everywhere, the other's largest number is the scale.
        scale = float(mine.abs().max()) or float(its.abs().max()) or 1.0
        difference = float((mine - its).abs().max()) / scale
        if not isfinite(difference):
            return None, f"outputs that are not finite, for values of about {scale:g}"
        largest = max(largest, difference)
    return largest, ""


def _more_often(
    ones: Mapping[str, int], others: Mapping[str, int]
) -> Iterator[tuple[str, tuple[int, int]]]:
    for operator in _in_order([*ones, *others]):
        calls = ones.get(operator, 0), others.get(operator, 0)
        if calls[0] != calls[1]:
            yield operator, calls


def _in_order(names: Iterable[str]) -> list[str]:
    return sorted(set(names))
