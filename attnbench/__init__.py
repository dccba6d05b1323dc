"""attnbench: what an attention module really costs, inside the network, on this machine."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnbench._version import __version__

if TYPE_CHECKING:
    from attnbench.accuracy.checkpoints import (
        load_authors_state_dict,
        read_weights,
        to_authors_state_dict,
    )
    from attnbench.hosts.build import build, resnet
    from attnbench.measuring import RunOptions, run
    from attnbench.report import read

if not Path(__path__[0], "modules").exists():
    # A checkout: modules/ is the folder beside this one, whatever else is installed.
    __path__.append(str(Path(__file__).parents[1]))

__all__ = [
    "RunOptions",
    "__version__",
    "build",
    "load_authors_state_dict",
    "read",
    "read_weights",
    "resnet",
    "run",
    "to_authors_state_dict",
]

_HOMES = {
    "RunOptions": ".measuring",
    "build": ".hosts.build",
    "load_authors_state_dict": ".accuracy.checkpoints",
    "read": ".report",
    "read_weights": ".accuracy.checkpoints",
    "resnet": ".hosts.build",
    "run": ".measuring",
    "to_authors_state_dict": ".accuracy.checkpoints",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use: the package alone imports neither torch nor pandas."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name], __name__), name)
    raise AttributeError(f"module 'attnbench' has no attribute '{name}'")
