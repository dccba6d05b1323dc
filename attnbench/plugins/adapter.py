"""Call a module of sequences, of channels-last maps or of several inputs as one of a single map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from attnbench.plugins.spec import Adapter


class Adapted(nn.Module):
    """A module, called as its adapter says: (B, C, H, W) -> (B, C, H, W).

    Nothing is copied here: tokens and channels-last maps are views, of the input and of the output.
    """

    def __init__(self, module: nn.Module, adapter: Adapter) -> None:
        super().__init__()
        self.module = module
        self._adapter = adapter

    def forward(self, x: Tensor) -> Tensor:
        """Call the module.

        Raises:
            ValueError: it returns no tuple where one is taken from, or another shape.
        """
        adapter = self._adapter
        given = _laid_out(x, adapter)
        out = self.module(*(given for _ in range(adapter.inputs)))
        if adapter.take is not None:
            if not isinstance(out, tuple | list) or len(out) <= adapter.take:
                raise ValueError(f"take={adapter.take}: it returns no tuple of that length")
            out = out[adapter.take]
        if adapter.layout is None:
            return out  # type: ignore[no-any-return]  # the trial checks what it is
        if not isinstance(out, Tensor) or out.shape != given.shape:
            shape = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
            raise ValueError(
                f"layout={adapter.layout}: it returns {shape} for an input of {tuple(given.shape)}"
            )
        if adapter.layout == "tokens":
            return out.transpose(1, 2).reshape(x.shape)
        return out.permute(0, 3, 1, 2)


def _laid_out(x: Tensor, adapter: Adapter) -> Tensor:
    if adapter.layout == "tokens":
        return x.flatten(2).transpose(1, 2)
    return x.permute(0, 2, 3, 1) if adapter.layout == "bhwc" else x


def adapted(
    build: Callable[..., Any], adapter: Adapter, channels: int, /, **settings: Any
) -> Adapted:
    """Build a module and call it so from then on."""
    return Adapted(build(channels, **settings), adapter)
