"""Convert between our parameter names and those of the authors' released weights.

Only ``attention``, the module's place in a block, is renamed: to the ``authors_prefix`` of the
module's row. A custom module without one keeps our names.
"""

from __future__ import annotations

import re
import warnings
from argparse import Namespace
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from os import PathLike
from pathlib import Path, PurePosixPath, PureWindowsPath
from pickle import UnpicklingError
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import numpy as np
import torch
from torch import Tensor, nn
from torch.serialization import safe_globals

from attnbench.errors import UserError
from attnbench.text import printable, unknown

WRAPPERS = ("state_dict", "model_state_dict", "state_dict_ema", "model", "net")
"""Keys under which files hold the weights, beside epochs and optimisers; the first one counts."""

PREFIXES = ("module.", "_orig_mod.", "model.")
"""Prefixes of every name: of DataParallel and AveragedModel, torch.compile, and Lightning."""

NO_WEIGHTS = ("n_averaged", "total_ops", "total_params")
"""Last parts of names: AveragedModel's counter, and what thop leaves in a network."""

COUNTER = "num_batches_tracked"
"""A counter of batch norms that files from before torch 0.4.1 lack; no output depends on it."""

CLASSIFIER = "fc.weight"
"""The last layer's matrix, one row for each class."""

MOST_CLASSES = 100_000
"""Limits the memory that a file can ask for; ImageNet-21k has fewer classes."""

SHOWN, SHOWN_OF_NAME = 10, 100
"""How many names an error message lists, and how many characters of each."""

REFUSED = re.compile(
    r"GLOBAL ([\w.]+) was not an allowed global|`add_safe_globals`, but got <class '([\w.]+)'>"
)
"""What torch says of the name in a file that it would have had to call, or to fill."""

UNREADABLE = (
    ("Unsupported operand", "is damaged, or pickled otherwise than by torch.save's default, or"),
    ("", "is damaged or"),
)
"""Of files of which torch names no such name: what it says, and what that can mean."""

ARCHIVE = "TorchScript archives"
"""What torch says of a program in the place of weights."""

STANDARD = (
    *(Namespace, SimpleNamespace, frozenset, complex, Decimal),
    *(datetime, date, time, timedelta, timezone, UUID),
)
"""Types of the standard library that training scripts store beside weights."""

FACTORIES = (bool, dict, float, int, list, set, str, tuple)
"""Types that such files name without calling them: what a ``defaultdict`` makes."""


def _dictionary(*_: object) -> dict[object, object]:
    """Return a plain dictionary in a ``defaultdict``'s place: no factory is ever called."""
    return {}


def _list(*_: object) -> list[object]:
    """Return a plain list in a ``deque``'s place: torch fills no other."""
    return []


def _no_bytes() -> bytes:
    """Return no bytes, of which an empty array consists; with arguments it is an error."""
    return b""


def _not_called() -> None:
    """Stand for a type that is named; to call it with arguments is an error."""


def _harmless() -> list[Any]:
    """Return what training scripts store beside weights, and what runs no code when it is read."""
    functions: tuple[Any, ...] = (np.float64(0).__reduce__()[0], np.zeros(0).__reduce__()[0])
    # Both names of each, before and since numpy 2; files may be of the other one.
    of_numpy = [
        (function, f"numpy.{core}.multiarray.{function.__name__}")
        for function in functions
        for core in ("core", "_core")
    ]
    # No objects and no records of several fields: what fills these is not checked.
    codes = (*"?bBhHiIlLqQefdgFDG", "U1", "S1", "M8[s]", "m8[s]")
    dtypes = [np.dtype(code) for code in codes]
    # As a path of no system: one of another system cannot be made, and none is opened.
    paths = [
        (pure, f"{module}.{system}Path")
        for pure, system in ((PurePosixPath, "Posix"), (PureWindowsPath, "Windows"))
        for module in ("pathlib", "pathlib._local")
    ]
    named: list[Any] = [(_not_called, f"builtins.{kind.__name__}") for kind in FACTORIES]
    named += [(_not_called, f"numpy.{dtype.type.__name__}") for dtype in dtypes]
    named += [(_dictionary, "collections.defaultdict"), (_list, "collections.deque")]
    named += [(_no_bytes, "builtins.bytes")]
    return [*STANDARD, *named, np.dtype, np.ndarray, *map(type, dtypes), *of_numpy, *paths]


def to_authors_state_dict(network: nn.Module) -> dict[str, Tensor]:
    """Return the network's state under its module's authors' names; the tensors are shared."""
    authors = _authors_names(network)
    return {authors[name]: value for name, value in network.state_dict().items()}


def load_authors_state_dict(
    network: nn.Module,
    state_dict: Mapping[str, object],
    *,
    key: str | None = None,
    prefix: str | None = None,
) -> None:
    """Fill a network with weights under the authors' names, or under its own.

    Wrappers around them (``state_dict``, ``model_state_dict``, ...), prefixes of every name
    (``module.``, ``_orig_mod.``, ``model.``) and what thop leaves in a network are removed. The
    counters of batch norms may be missing, everything else must fit. ``key`` names another wrapper,
    ``a.b`` one within another; with ``prefix`` only the names that begin with it are taken, without
    it.

    Raises:
        UserError: names that are missing or left over, or tensors of another kind (integers or
            complex numbers for real ones) or shape, all listed; no such key or prefix.
    """
    given = tensors_of(state_dict, key, prefix)
    state = network.state_dict()
    ours = all(name in given for name in state if not name.endswith(COUNTER))
    authors = {name: name for name in state} if ours else _authors_names(network)
    expected = {authors[name]: value for name, value in state.items()}
    both = [(name, given[name], expected[name]) for name in given if name in expected]
    faults = {
        "missing": [name for name in expected if name not in given and not name.endswith(COUNTER)],
        "left over": [name for name in given if name not in expected],
        "stored without plain numbers": [
            f"{name} {how}" for name, value, _ in both if (how := _not_plain(value))
        ],
        "of another kind": [
            f"{name} {_dtype(value)}, not {_dtype(mine)}"
            for name, value, mine in both
            if value.is_floating_point() != mine.is_floating_point()
        ],
        "of another shape": [
            f"{name} {tuple(value.shape)}, not {tuple(mine.shape)}"
            for name, value, mine in both
            if value.shape != mine.shape
        ],
    }
    listed = "; ".join(_listed(fault, names) for fault, names in faults.items() if names)
    if listed:
        hint = "" if both else _under_a_prefix(given)
        raise UserError(f"these weights do not fit the network; {listed}{hint}")
    network.load_state_dict({name: given.get(authors[name], state[name]) for name in state})


def classes_of(
    state_dict: Mapping[str, object], *, key: str | None = None, prefix: str | None = None
) -> int:
    """Return the number of classes of the network whose weights these are.

    ``key`` and ``prefix`` are those of :func:`load_authors_state_dict`.

    Raises:
        UserError: the classifier ``fc`` is missing or malformed.
    """
    given = tensors_of(state_dict, key, prefix)
    classifier = given.get(CLASSIFIER)
    if classifier is None:
        raise UserError(
            f"the checkpoint has no '{CLASSIFIER}': the number of classes is unknown"
            f"{_under_a_prefix(given)}"
        )
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
        with warnings.catch_warnings(), safe_globals(_harmless()):
            warnings.simplefilter("ignore")  # about files that are refused next
            content = torch.load(path, map_location="cpu", weights_only=True)
    except ImportError as error:
        raise UserError("safetensors is not installed: pip install safetensors") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except UnpicklingError as error:
        refused = REFUSED.search(str(error))
        unread = next(meaning for said, meaning in UNREADABLE if said in str(error))
        asked = (
            f"asks for {refused[1] or refused[2]}, and so for" if refused else f"{unread} asks for"
        )
        raise UserError(
            f"{path} holds no weights that are safe to read: it {asked} code to be run, which is "
            "never done"
        ) from error
    except Exception as error:  # torch and safetensors raise many kinds for malformed files
        if ARCHIVE in str(error):
            raise UserError(
                f"{path} is a TorchScript archive, whose code would be run: save the network's "
                "state_dict()"
            ) from error
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{path} holds no weights that are safe to read: {reason}") from error
    if not isinstance(content, Mapping):
        raise UserError(f"{path} holds a {type(content).__name__}, not weights by their names")
    return content


def wrapper_of(state_dict: Mapping[str, object]) -> str | None:
    """Return the wrapper from which weights are taken where several are there; else None."""
    there = [wrapper for wrapper in WRAPPERS if isinstance(state_dict.get(wrapper), Mapping)]
    return there[0] if len(there) > 1 else None


def tensors_of(
    state_dict: Mapping[str, object], key: str | None = None, prefix: str | None = None
) -> dict[str, Tensor]:
    """Return the tensors by their names in the network: without wrappers, prefixes and counters.

    ``key`` and ``prefix`` are those of :func:`load_authors_state_dict`.

    Raises:
        UserError: no such key or prefix, or entries that are no tensors.
    """
    outer = ""
    if key is not None:
        state_dict, outer = _under(state_dict, key), f"{key}."
    for _ in WRAPPERS:  # one may hold another
        inside = (name for name in WRAPPERS if isinstance(state_dict.get(name), Mapping))
        if (wrapper := next(inside, None)) is not None:
            state_dict, outer = _under(state_dict, wrapper), f"{outer}{wrapper}."
    tensors = {
        name: value
        for name, value in state_dict.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    }
    others = [str(name) for name in state_dict if name not in tensors]
    if others:
        hint = _under_a_key(state_dict, outer)
        raise UserError(f"this is no state dict; {_listed('no tensors', others)}{hint}")
    tensors = {
        name: value for name, value in tensors.items() if name.rpartition(".")[2] not in NO_WEIGHTS
    }
    if prefix is not None:
        chosen = {name: value for name, value in tensors.items() if name.startswith(prefix)}
        if not chosen:
            raise UserError(
                f"no name in the checkpoint begins with '{printable(prefix, SHOWN_OF_NAME)}'; "
                f"{_listed('names', list(tensors))}"
            )
        tensors = {name.removeprefix(prefix): value for name, value in chosen.items()}
    while tensors and (shared := _shared_prefix(tensors)):
        tensors = {name.removeprefix(shared): value for name, value in tensors.items()}
    return tensors


def _under_a_prefix(given: Iterable[str]) -> str:
    """Return a hint where the classifier stands under a prefix that is not known."""
    prefixes = [name.removesuffix(CLASSIFIER) for name in given if name.endswith(f".{CLASSIFIER}")]
    return f"; it has one under --prefix {_listed_names(prefixes)}" if prefixes else ""


def _under(file: Mapping[str, object], key: str) -> Mapping[str, object]:
    """Return what stands under a key, or under several with dots between them: ``a.b``."""
    inner: object = file
    for name in [key] if key in file else key.split("."):
        inner = inner.get(name) if isinstance(inner, Mapping) else None
    if not isinstance(inner, Mapping):
        known = [name for name, value in file.items() if isinstance(value, Mapping)]
        raise UserError(unknown("key of weights", key, map(str, known) if known else ["none"]))
    return inner


def _under_a_key(file: Mapping[str, object], outer: str) -> str:
    """Return a hint where weights stand under keys that are not known, ``outer`` before them."""
    keys = [
        f"{outer}{name}"
        for name, value in file.items()
        if isinstance(value, Mapping) and any(isinstance(part, Tensor) for part in value.values())
    ]
    return f"; weights stand under --key {_listed_names(keys)}" if keys else ""


def _shared_prefix(names: Iterable[str]) -> str | None:
    return next((p for p in PREFIXES if all(name.startswith(p) for name in names)), None)


def _not_plain(tensor: Tensor) -> str:
    """Return how a tensor is stored that no weight can be filled with, or ''."""
    if tensor.is_meta:
        return "meta"
    layout = str(tensor.layout).removeprefix("torch.")
    return "quantized" if tensor.is_quantized else layout.replace("strided", "")


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
    return f"{fault}: {_listed_names(names)}"


def _listed_names(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(printable(name, SHOWN_OF_NAME) for name in names[:SHOWN]) + more
