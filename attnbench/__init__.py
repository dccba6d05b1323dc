"""attnbench: what an attention module really costs, inside the network, on this machine."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .hosts import resnet
    from .report import read

__all__ = ["__version__", "read", "resnet"]

__version__ = "0.1.0"


_HOMES = {"resnet": ".hosts", "read": ".report"}


def __getattr__(name: str) -> Any:
    """A public name on first use: importing the package imports neither torch nor pandas."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name], __name__), name)
    raise AttributeError(f"module 'attnbench' has no attribute '{name}'")
