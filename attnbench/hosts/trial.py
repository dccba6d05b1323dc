"""Try a custom module on random images: whatever would make its figures wrong is refused."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from copy import deepcopy
from inspect import getfile
from itertools import chain
from pathlib import Path
from traceback import extract_tb, walk_tb
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_leaves

from attnbench.hosts.conditions import BASE, Conditions
from attnbench.modules import SettingsError
from attnbench.records.schema import Shape
from attnbench.text import MOST_OF_ERROR, error_line, error_text

Build = Callable[[], Any]

IMAGES = 2
"""Batch size of the check: a module that mixes the images of a batch changes the result."""

ROUNDING = 1e-3
"""Tolerance relative to the largest number; far above the effect of the order of a sum."""

TORCH = str(Path(torch.__file__).parent)
SUITE = str(Path(__file__).parents[1]), str(Path(getfile(SettingsError)).parent)
"""The folders of the suite's own code: the package's, and that of the modules."""


def require_fit(
    build: Build, shape: Shape, returned: Shape, others: Collection[Conditions] = ()
) -> None:
    """Check a module in float32 on the CPU, then that it runs in the other conditions.

    ``build`` makes it for an input of ``shape`` (channels, height, width), from which it must
    make the shape ``returned``. One that fails on the CPU is checked on the others' device.

    Raises:
        SettingsError: it is not fit to be measured.
        BaseException: whatever its code raises.
    """
    try:
        _require_fit(build, shape, returned, BASE)
    except SettingsError:
        raise
    except Exception:
        elsewhere = {conditions.device for conditions in others} - {BASE.device}
        if not elsewhere:
            raise
        for device in elsewhere:
            _require_fit(build, shape, returned, Conditions(device))
    for conditions in others:
        if conditions != BASE:
            _require_runs(build, shape, returned, conditions)


def _require_fit(build: Build, shape: Shape, returned: Shape, conditions: Conditions) -> None:
    x = _images(shape, conditions)
    module = _built(build, conditions)
    copied = _copied(module)  # as it is counted: before any forward
    # Built, as a copy of a script of torch.jit goes on computing with the weights of the first.
    for_gradients = _built(build, conditions)
    before = dict(_tensors(module))
    out = _output(module, x)
    _require_output(out, (IMAGES, *returned), x.dtype)
    _require_kept(before, dict(_tensors(module)))
    _require_registered(module, for_gradients, x)
    _require_kept_in_training(for_gradients, x)
    same = torch.equal if conditions.device == BASE.device else _close
    again, twin = _output(module, x), _output(_built(build, conditions), x)
    require(same(out, again), "it is not deterministic: the same input, other numbers")
    require(same(out, twin), "it is not deterministic: built from one seed, other numbers")
    try:
        of_copy = _output(copied, x)
    except Exception as error:
        raise SettingsError(f"its copy fails: {_one_line(error)}") from error
    require(same(out, of_copy), "its copy computes other numbers")
    try:
        one = _output(module, x[:1])
        _require_output(one, (1, *returned), x.dtype)
        # By rounding alone they may differ: a smaller batch may be summed otherwise.
        close = _close(out[:1], one)
        require(close, "it returns other numbers than for that image among two")
    except Exception as error:
        raise SettingsError(f"of one image {reason(error)}") from error


def _require_runs(build: Build, shape: Shape, returned: Shape, conditions: Conditions) -> None:
    """Check the shape and dtype of its output, in what the run will use.

    Under autocast an output may be of either dtype, as torch's own operators give either.
    """
    try:
        x = conditions.place_map(_images(shape, BASE))
        out = _output(_built(build, conditions), x)
        free = bool(conditions.autocast) and isinstance(out, Tensor) and out.is_floating_point()
        _require_output(out, (IMAGES, *returned), out.dtype if free else x.dtype)
    except Exception as error:
        raise SettingsError(f"{conditions.described} {reason(error)}") from error


def require(condition: object, why: str) -> None:
    """Raise a SettingsError with the reason unless the condition holds."""
    if not condition:
        raise SettingsError(why)


def reason(error: BaseException) -> str:
    """Return a refusal's reason as it is, or that the module's code fails, and how."""
    if isinstance(error, SettingsError):
        return error_text(error, None if _is_of_the_suite(error) else MOST_OF_ERROR)
    return f"it fails: {_one_line(error)}"


def _is_of_the_suite(error: BaseException) -> bool:
    """Return whether the suite's own code has raised it; a module's can raise the same class."""
    try:
        *_, (innermost, _) = walk_tb(error.__traceback__)
        return innermost.f_code.co_filename.startswith(SUITE)
    except Exception:  # of an error that answers no question
        return False


def _require_output(out: Any, expected: Shape, dtype: torch.dtype) -> None:
    require(isinstance(out, Tensor), f"it returns a {type(out).__name__}, not a tensor")
    returned = tuple(out.shape)
    require(returned == expected, f"it returns the shape {returned}, expected is {expected}")
    require(out.dtype == dtype, f"it returns {out.dtype} for an input of {dtype}")
    require(torch.isfinite(out).all(), "it returns numbers that are not finite")


def _close(expected: Tensor, out: Tensor) -> bool:
    return bool(((out - expected).abs() <= ROUNDING * expected.abs().max()).all())


def _images(shape: Shape, conditions: Conditions) -> Tensor:
    images = torch.randn(IMAGES, *shape, generator=torch.Generator().manual_seed(0))
    return conditions.place_image(images)


def _built(build: Build, conditions: Conditions) -> nn.Module:
    torch.manual_seed(0)
    module = build()
    require(isinstance(module, nn.Module), f"it is a {type(module).__name__}, not a torch module")
    tensors = chain(module.named_parameters(), module.named_buffers())
    lazy = [name for name, tensor in tensors if is_lazy(tensor)]  # not counted before a forward
    require(not lazy, f"it is built without the sizes of {_listed(lazy)} (a lazy layer)")
    for part in module.modules():
        _require_own_class(part)
    return module if conditions == BASE else conditions.place(module)


def _require_own_class(part: nn.Module) -> None:
    """Refuse a class that misleads ``isinstance``, by which counters know layers."""
    try:
        stated = part.__class__
    except Exception as error:
        raise SettingsError(f"its __class__ cannot be read: {_one_line(error)}") from error
    kind = type(part)
    require(
        stated is kind, f"its __class__ is not {kind.__name__}, so it may be counted as another"
    )


def _output(module: nn.Module, x: Tensor) -> Any:
    with torch.inference_mode():
        return module.eval()(x.clone())


def _copied(module: nn.Module) -> nn.Module:
    """Copy it as counting does: tensors that were computed, such as a normed weight, by value."""
    memo = {
        id(leaf): leaf.detach().clone()
        for part in module.modules()
        for leaf in tree_leaves(vars(part))
        if isinstance(leaf, Tensor) and not leaf.is_leaf
    }
    try:
        return deepcopy(module, memo)
    except Exception as error:
        raise SettingsError(f"it cannot be copied: {_one_line(error)}") from error


def _tensors(module: nn.Module) -> Iterator[tuple[str, tuple[Shape, Tensor | None]]]:
    """Yield parameters by name, with their shapes; of buffers, which may be replaced, the shape."""
    for name, parameter in module.named_parameters():
        yield name, (tuple(parameter.shape), parameter)
    for name, buffer in module.named_buffers():
        yield name, (tuple(buffer.shape), None)


def _require_kept(
    before: dict[str, tuple[Shape, Tensor | None]],
    after: dict[str, tuple[Shape, Tensor | None]],
    what: str = "its forward",
) -> None:
    """Refuse parameters and buffers that a forward makes, replaces or takes away."""
    unlike = [
        name
        for name in before | after
        if (old := before.get(name)) is None
        or (new := after.get(name)) is None
        or old[0] != new[0]
        or old[1] is not new[1]
    ]
    require(
        not unlike,
        f"{what} makes or replaces {_listed(unlike)}, so they would not be counted; "
        "make them in the constructor",
    )


def _require_kept_in_training(fresh: nn.Module, x: Tensor) -> None:
    """Refuse the same of a forward in training mode; what cannot be trained can be measured."""
    before = dict(_tensors(fresh))
    with suppress(Exception), torch.enable_grad():
        fresh.train()(x.clone())
    _require_kept(before, dict(_tensors(fresh)), "its forward in training")


def _require_registered(module: nn.Module, fresh: nn.Module, x: Tensor) -> None:
    """Refuse learnable tensors that are not parameters of the module.

    Those kept in Python's lists and dictionaries are found by looking, others (of a closure, of
    the file itself) by what the output's gradient reaches.
    """
    hidden = list(_hidden(module))
    require(
        not hidden,
        f"it keeps {_listed(hidden)} where torch does not look, so they would not be counted, "
        "moved or trained; keep modules in nn.ModuleList or nn.ModuleDict, tensors as parameters",
    )
    # By tensor: for those of a script, objects of Python are made at each call.
    registered = {parameter._cdata for parameter in fresh.parameters()}
    reached = (leaf for leaf in _learnable(fresh, x) if leaf._cdata not in registered)
    shapes = [str(tuple(leaf.shape)) for leaf in reached]
    require(
        not shapes,
        f"it computes with learnable tensors of shape {_listed(shapes)} that are not its "
        "parameters, so they would not be counted, moved or trained",
    )


def _hidden(module: nn.Module) -> Iterator[str]:
    """Yield the names of tensors in plain attributes that are learnable and not registered."""
    registered = {id(tensor) for tensor in chain(module.parameters(), module.buffers())}
    for prefix, part in module.named_modules():
        for attribute, value in vars(part).items():
            name = ".".join(filter(None, [prefix, attribute]))
            for leaf in tree_leaves(value):
                if isinstance(leaf, nn.Module):
                    inner = chain(leaf.named_parameters(), leaf.named_buffers())
                    yield from (f"{name}: {n}" for n, t in inner if id(t) not in registered)
                elif _is_learnable(leaf) and id(leaf) not in registered:
                    yield name


def _is_learnable(value: object) -> bool:
    return isinstance(value, Tensor) and value.requires_grad and value.is_leaf


def _learnable(module: nn.Module, x: Tensor) -> Iterator[Tensor]:
    """Yield the learnable tensors that the output depends on; none where it has no gradient."""
    try:
        with torch.enable_grad():
            out = module.eval()(x.clone())
    except Exception:  # what can be run in inference alone can be measured
        return
    waiting, seen = [out.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if type(node).__name__ == "AccumulateGrad":
            yield node.variable
        waiting += [function for function, _ in node.next_functions]


def _listed(names: Collection[str], most: int = 6) -> str:
    first = list(dict.fromkeys(names))
    more = f" and {len(first) - most} more" if len(first) > most else ""
    return ", ".join(first[:most]) + more


def _one_line(error: BaseException) -> str:
    """Return an error's message, or where it is empty the line of code that raised it."""
    try:
        frames = [f for f in extract_tb(error.__traceback__) if not f.filename.startswith(TORCH)]
        line = frames[-1].line or ""
    except Exception:  # of an error that answers no question
        line = ""
    return error_line(error, line)
