"""The copy of a network that is counted: on the CPU, and without data wherever that can be.

Fake tensors (``FakeTensorMode``) run the CPU's operators on shapes, dtypes and strides alone:
nothing is computed and no weight is allocated, on whatever device the network is.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._pytree import tree_leaves

from attnbench.records.schema import Shape

Input = Shape | Tensor
"""The images' shape; or images on meta, for their dtype and layout; or images with data."""


@cache
def fake_mode() -> FakeTensorMode:
    """Return the mode of all fake tensors of this process."""
    # A module that fails raises; PyTorch would log the traceback too.
    logging.getLogger(FakeTensorMode.__module__).setLevel(logging.CRITICAL)
    return FakeTensorMode(allow_non_fake_inputs=True)


def fake(tensor: Tensor) -> Tensor:
    """Return a fake tensor on the CPU, of the same shape, dtype and strides."""
    shape, strides = tensor.shape, tensor.stride()
    on_meta = torch.empty_strided(shape, strides, dtype=tensor.dtype, device="meta")
    return FakeTensor(fake_mode(), on_meta, torch.device("cpu"))


def mode_of(tensor: Tensor) -> AbstractContextManager[object]:
    """Return the mode in which new tensors are of that tensor's kind, fake or real."""
    return fake_mode() if isinstance(tensor, FakeTensor) else nullcontext()


BOOKKEEPING = vars(nn.Module()).keys() - {"_parameters", "_buffers"}
"""Attributes of every module that hold no tensors: its submodules, hooks and flags."""

EMPTY = {dict, OrderedDict, set}
"""Containers that are the same whenever they are empty."""


def tensors_of(model: nn.Module) -> Iterator[Tensor]:
    """Yield parameters, buffers, and the constants that modules keep as plain attributes."""
    for module in model.modules():
        kept = [value for name, value in vars(module).items() if name not in BOOKKEEPING]
        yield from (leaf for leaf in tree_leaves(kept) if isinstance(leaf, Tensor))


def copy_with(model: nn.Module, convert: Callable[[Tensor], Tensor]) -> nn.Module:
    """Copy a network with all its tensors converted; shared ones stay shared."""
    memo = _empty_containers(model)
    for tensor in tensors_of(model):
        if id(tensor) not in memo:
            copy = convert(tensor)
            if isinstance(tensor, nn.Parameter):
                copy = _parameter(copy, tensor.requires_grad)
            memo[id(tensor)] = copy
    network = deepcopy(model, memo)
    for module in filter(is_scripted, network.modules()):  # whose tensors no memo reaches
        tensors = (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
        for name, tensor in tensors:
            module._c.setattr(name, convert(tensor))  # type: ignore[operator, union-attr]
    return network


def _empty_containers(model: nn.Module) -> dict[int, Any]:
    """Return new ones for those of modules that are empty, such as of hooks, by their identity.

    Made by ``deepcopy``, which treats each as it does an object, they take most of its time.
    """
    kept = (value for module in model.modules() for value in vars(module).values())
    return {id(value): type(value)() for value in kept if type(value) in EMPTY and not value}


def _parameter(fresh: Tensor, requires_grad: bool) -> Tensor:
    if not isinstance(fresh, FakeTensor):
        return nn.Parameter(fresh, requires_grad)
    # As nn.Parameter does with a subclass, without its detach: half the time of a copy.
    fresh._is_param = True
    return fresh.requires_grad_(requires_grad)


def is_scripted(module: nn.Module) -> bool:
    """Return whether ``torch.jit`` compiled the module: it then takes no hooks."""
    return isinstance(module, torch.jit.ScriptModule)


def twin(model: nn.Module, given: Input) -> tuple[nn.Module, Tensor]:
    """Copy the network in evaluation mode, with the images that it is counted for.

    Both are fake, unless the images have data: then both are real and on the CPU. A shape is
    taken for contiguous images in the dtype of the network's weights.
    """
    if not isinstance(given, Tensor):
        dtypes = (p.dtype for p in model.parameters() if p.is_floating_point())
        given = torch.empty(given, device="meta", dtype=next(dtypes, torch.float32))
    if has_data(given):
        return in_mode(copy_with(model, lambda x: x.detach().to("cpu", copy=True))), given
    return in_mode(copy_with(model, fake)), fake(given)


def in_mode(network: nn.Module, *, training: bool = False) -> nn.Module:
    """Set the mode where it is another: by every call some modules drop what they keep (timm's)."""
    set_already = all(module.training == training for module in network.modules())
    return network if set_already else network.train(training)


def warmed_up(model: nn.Module, given: Input) -> nn.Module:
    """Return a twin after one forward, so that what it keeps from its first one is there.

    Steps that are timed are warm too. Where the forward fails, return the network as it is: the
    rules then say why.
    """
    network, images = twin(model, given)
    try:
        with torch.no_grad(), mode_of(images):
            network(images)
    except Exception:
        return model
    return network


def has_data(tensor: Tensor) -> bool:
    """Return whether the tensor holds values, on any device."""
    return not (tensor.is_meta or isinstance(tensor, FakeTensor))
