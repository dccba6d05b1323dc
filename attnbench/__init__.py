"""attnbench: what an attention module really costs, inside the network, on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .hosts import resnet

__all__ = ["__version__", "resnet"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """``resnet`` on first use, so that importing the package does not import torch."""
    if name == "resnet":
        from .hosts import resnet

        return resnet
    raise AttributeError(f"module 'attnbench' has no attribute '{name}'")
