"""Convert between our parameter names and those of the authors' released weights.

Only ``attention``, the module's place in a block, is renamed: to the ``authors_prefix`` of the
module's row. A custom module without one keeps our names.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor, nn

from attnbench.errors import UserError

WRAPPERS = ("state_dict", "model")
"""Keys under which files hold the weights, beside epochs and optimisers."""

PARALLEL = "module."
"""Prefix that torch.nn.DataParallel gives every name."""

COUNTER = "num_batches_tracked"
"""A counter of batch norms that files from before torch 0.4.1 lack; no output depends on it."""

CLASSIFIER = "fc.weight"
"""The last layer's matrix, one row for each class."""

MOST_CLASSES = 100_000
"""Limits the memory that a file can ask for; ImageNet-21k has fewer classes."""

SHOWN = 10


def to_authors_state_dict(network: nn.Module) -> dict[str, Tensor]:
    """Return the network's state under its module's authors' names; the tensors are shared."""
    authors = _authors_names(network)
    return {authors[name]: value for name, value in network.state_dict().items()}


def load_authors_state_dict(network: nn.Module, state_dict: Mapping[str, object]) -> None:
    """Fill a network with weights under the authors' names.

    A wrapper around them (``state_dict``) and ``module.`` before every name are removed. The
    counters of batch norms may be missing, everything else must fit.

    Raises:
        UserError: names that are missing or left over, or tensors of another kind (integers or
            complex numbers for real ones) or shape, all listed.
    """
    given = _unwrapped(state_dict)
    authors = _authors_names(network)
    state = network.state_dict()
    expected = {authors[name]: value for name, value in state.items()}
    both = [(name, given[name], expected[name]) for name in given if name in expected]
    faults = {
        "missing": [name for name in expected if name not in given and not name.endswith(COUNTER)],
        "left over": [name for name in given if name not in expected],
        "of another kind": [
            f"{name} {_dtype(value)}, not {_dtype(ours)}"
            for name, value, ours in both
            if value.is_floating_point() != ours.is_floating_point()
        ],
        "of another shape": [
            f"{name} {tuple(value.shape)}, not {tuple(ours.shape)}"
            for name, value, ours in both
            if value.shape != ours.shape
        ],
    }
    listed = "; ".join(_listed(fault, names) for fault, names in faults.items() if names)
    if listed:
        raise UserError(f"these weights do not fit the network; {listed}")
    network.load_state_dict({name: given.get(authors[name], state[name]) for name in state})


def classes_of(state_dict: Mapping[str, object]) -> int:
    """Return the number of classes of the network whose weights these are.

    Raises:
        UserError: the classifier ``fc`` is missing or malformed.
    """
    classifier = _unwrapped(state_dict).get(CLASSIFIER)
    if classifier is None:
        raise UserError(f"the checkpoint has no '{CLASSIFIER}': the number of classes is unknown")
    if classifier.dim() != 2 or not 0 < len(classifier) <= MOST_CLASSES:  # noqa: PLR2004
        raise UserError(
            f"the checkpoint has '{CLASSIFIER}' of shape {tuple(classifier.shape)}; expected is "
            f"(classes, features) with 1 to {MOST_CLASSES:,} classes"
        )
    return len(classifier)


def read_weights(path: str | PathLike[str]) -> Mapping[str, object]:
    """Read a file of weights, safetensors or torch's own; code in it is never run.

    Raises:
        UserError: no such file, or one that cannot be read without running code from it.
    """
    path = Path(path)
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about files that are refused next
            content = torch.load(path, map_location="cpu", weights_only=True)
    except ImportError as error:
        raise UserError("safetensors is not installed: pip install safetensors") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except UnpicklingError as error:
        raise UserError(
            f"{path} holds no weights that are safe to read: it is damaged or asks for code to be "
            "run, which is never done"
        ) from error
    except Exception as error:  # torch and safetensors raise many kinds for malformed files
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{path} holds no weights that are safe to read: {reason}") from error
    if not isinstance(content, Mapping):
        raise UserError(f"{path} holds a {type(content).__name__}, not weights by their names")
    return content


def _unwrapped(state_dict: Mapping[str, object]) -> dict[str, Tensor]:
    for wrapper in WRAPPERS:
        inner = state_dict.get(wrapper)
        if isinstance(inner, Mapping):
            state_dict = inner
    tensors = {
        name: value
        for name, value in state_dict.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    }
    others = [str(name) for name in state_dict if name not in tensors]
    if others:
        raise UserError(f"this is no state dict; {_listed('no tensors', others)}")
    if tensors and all(name.startswith(PARALLEL) for name in tensors):
        return {name.removeprefix(PARALLEL): value for name, value in tensors.items()}
    return tensors


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _authors_names(network: nn.Module) -> dict[str, str]:
    """Return the authors' name of every tensor in the network's state."""
    names = {}
    for name in network.state_dict():
        block, within, own = name.partition(".attention.")
        prefix = network.get_submodule(block).authors_prefix if within else ""
        names[name] = f"{block}.{prefix}{own}" if within else name
    return names


def _listed(fault: str, names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{fault}: {', '.join(names[:SHOWN])}{more}"
