"""The authors' released weights in our networks, and ours under the authors' names.

What a network computes does not depend on whose names its parameters have: only ``attention``, the
module's place in a block, is renamed. Names are those of the sources in ``modules/``; a module from
elsewhere has no others than ours.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor, nn

from attnbench.errors import UserError

WRAPPERS = ("state_dict", "model")
"""Under which key files hold the weights, beside epochs and optimisers."""

PARALLEL = "module."
"""What torch.nn.DataParallel puts before every name."""

COUNTER = "num_batches_tracked"
"""A counter of batch norms that files of before torch 0.4.1 lack; nothing is computed from it."""

CLASSIFIER = "fc.weight"
"""The last layer's matrix, a row a class."""

MOST_CLASSES = 100_000
"""ImageNet-21k has fewer; a file that asks for more asks for memory."""

SHOWN = 10


def to_authors_state_dict(network: nn.Module) -> dict[str, Tensor]:
    """The network's state under the names that its module's authors use; the tensors are shared."""
    named = _authors_names(network)
    return {named[name]: value for name, value in network.state_dict().items()}


def load_authors_state_dict(network: nn.Module, state_dict: Mapping[str, object]) -> None:
    """Fill a network with weights under the authors' names.

    A wrapper around them (``state_dict``) and ``module.`` before every name are taken off. The
    counters of batch norms may be missing, everything else must fit.

    Raises:
        UserError: names that are missing or left over, or tensors of another kind (integers or
            complex numbers for real ones) or shape, all listed.
    """
    given = _unwrapped(state_dict)
    named = _authors_names(network)
    mine = network.state_dict()
    wanted = {theirs: mine[ours] for ours, theirs in named.items()}
    faults = [
        *_listed("missing", [n for n in wanted if n not in given and not n.endswith(COUNTER)]),
        *_listed("left over", [name for name in given if name not in wanted]),
        *_listed(
            "of another kind",
            [
                f"{name} {_kind(value)}, not {_kind(wanted[name])}"
                for name, value in given.items()
                if name in wanted and value.is_floating_point() != wanted[name].is_floating_point()
            ],
        ),
        *_listed(
            "of another shape",
            [
                f"{name} {tuple(value.shape)}, not {tuple(wanted[name].shape)}"
                for name, value in given.items()
                if name in wanted and value.shape != wanted[name].shape
            ],
        ),
    ]
    if faults:
        raise UserError(f"these weights do not fit the network; {'; '.join(faults)}")
    filled = {ours: given.get(theirs, mine[ours]) for ours, theirs in named.items()}
    network.load_state_dict(filled)


def classes_of(state_dict: Mapping[str, object]) -> int:
    """How many classes the network had whose weights these are.

    Raises:
        UserError: they have no classifier ``fc``, or one that is none.
    """
    classifier = _unwrapped(state_dict).get(CLASSIFIER)
    if classifier is None:
        raise UserError(f"these weights hold no {CLASSIFIER}, so no classes can be told apart")
    if classifier.dim() != 2 or not 0 < len(classifier) <= MOST_CLASSES:  # noqa: PLR2004
        raise UserError(
            f"these weights have {CLASSIFIER} of shape {tuple(classifier.shape)}, not of one to "
            f"{MOST_CLASSES:,} classes by features"
        )
    return len(classifier)


def read_weights(path: Path) -> Mapping[str, object]:
    """What a file of weights holds, safetensors or torch's own; no code in it is ever run.

    Raises:
        UserError: no such file, or one that cannot be read without running code from it.
    """
    try:
        if path.suffix == ".safetensors":
            return _safetensors(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of files that are refused next
            found = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except UnpicklingError as error:
        raise UserError(
            f"{path} holds no weights that are safe to read: it is damaged or asks for code to be "
            "run, which is never done"
        ) from error
    except Exception as error:  # whatever a file that is no file of weights makes of it
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{path} holds no weights that are safe to read: {reason}") from error
    if not isinstance(found, Mapping):
        raise UserError(f"{path} holds a {type(found).__name__}, not weights by their names")
    return found


def _safetensors(path: Path) -> Mapping[str, object]:
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise UserError("safetensors is not installed: pip install safetensors") from error
    tensors: Mapping[str, object] = load_file(path)
    return tensors


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
        raise UserError(f"these are no weights; {'; '.join(_listed('no tensors', others))}")
    if tensors and all(name.startswith(PARALLEL) for name in tensors):
        return {name.removeprefix(PARALLEL): value for name, value in tensors.items()}
    return tensors


def _kind(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _authors_names(network: nn.Module) -> dict[str, str]:
    """The authors' name of every tensor in the network's state."""
    return {name: _authors_name(network, name) for name in network.state_dict()}


def _authors_name(network: nn.Module, name: str) -> str:
    block, within, own = name.partition(".attention.")
    if not within:
        return name
    return f"{block}.{network.get_submodule(block).authors_prefix}{own}"


def _listed(what: str, names: list[str]) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return [f"{what}: {', '.join(names[:SHOWN])}{more}"]
