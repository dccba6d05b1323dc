"""What a module costs on this machine: rounds of timing, memory, self-test."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from attnbench.records.case import RunOptions

if TYPE_CHECKING:
    from attnbench.measuring.runner import run

__all__ = ["RunOptions", "run"]


def __getattr__(name: str) -> Any:
    """Import what needs torch on first use: options are checked without it."""
    if name == "run":
        return import_module("attnbench.measuring.runner").run
    raise AttributeError(f"module 'attnbench.measuring' has no attribute '{name}'")
