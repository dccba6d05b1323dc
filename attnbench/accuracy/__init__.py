"""How often given weights are right on given images, and the authors' released weights."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attnbench.accuracy.checkpoints import (
        load_authors_state_dict,
        read_weights,
        to_authors_state_dict,
    )

__all__ = ["load_authors_state_dict", "read_weights", "to_authors_state_dict"]


def __getattr__(name: str) -> Any:
    """Import what needs torch on first use: options are checked without it."""
    if name in __all__:
        return getattr(import_module("attnbench.accuracy.checkpoints"), name)
    raise AttributeError(f"module 'attnbench.accuracy' has no attribute '{name}'")
