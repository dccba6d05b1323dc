"""Where and in what a network is run: device, dtype, layout in memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Conditions:
    """The device, dtype and layout of a network and its images.

    ``autocast`` is the dtype to which torch casts what suits it, while weights and images stay in
    ``dtype``; empty where it casts nothing.
    """

    device: str = "cpu"
    dtype: str = "float32"
    channels_last: bool = False
    autocast: str = ""

    @property
    def described(self) -> str:
        """In words: ``in bfloat16, channels last, on cuda``."""
        parts = (
            f"under autocast to {self.autocast}" if self.autocast else f"in {self.dtype}",
            "channels last" if self.channels_last else "",
            f"on {self.device}" if self.device != BASE.device else "",
        )
        return ", ".join(filter(None, parts))

    def place(self, module: nn.Module) -> nn.Module:
        """Move a module there and convert its weights; complex ones keep their dtype.

        ``Module.to`` with a dtype would drop the imaginary part of complex weights. Where there is
        autocast, every forward of the module runs under it from now on.

        Raises:
            RuntimeError: its forward cannot be put under autocast.
        """
        dtype = getattr(torch, self.dtype)
        if any(tensor.is_complex() for tensor in (*module.parameters(), *module.buffers())):
            module._apply(lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor)
            moved = module.to(self.device)
        else:
            moved = module.to(self.device, dtype)
        placed = moved.to(memory_format=self._layout)
        return under_autocast(placed, self.autocast) if self.autocast else placed

    def place_image(self, image: Tensor) -> Tensor:
        """Return the image (batch, channels, height, width) there, in its dtype and layout."""
        dtype = getattr(torch, self.dtype)
        return image.to(self.device).to(dtype=dtype, memory_format=self._layout)

    def place_map(self, features: Tensor) -> Tensor:
        """Return feature maps there, in the dtype that they have within the network."""
        placed = self.place_image(features)
        return placed.to(getattr(torch, self.autocast)) if self.autocast else placed

    @property
    def _layout(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format


BASE = Conditions()
"""What every custom module is tried in: float32 on the CPU, as its figures are counted."""


def under_autocast(module: nn.Module, dtype: str) -> nn.Module:
    """Make every forward of a module run under autocast, in place; its copies' too.

    Its class is replaced, as a wrapper would change the paths of its parts, and a forward of its
    own would not survive a copy: what times, counts, compiles or captures it then needs not know.
    The cast weights are kept for one forward only, as in a step of training.

    Raises:
        RuntimeError: torch made its class from a graph or a script.
    """
    if isinstance(module, (torch.fx.GraphModule, torch.jit.ScriptModule)):
        raise RuntimeError(f"a {type(module).__name__} cannot be put under autocast")
    kind: Any = type(module)
    module.__class__ = _autocasting(kind, getattr(torch, dtype))
    return module


@cache  # one class for all networks of a kind: the compiler tells classes apart
def _autocasting(kind: type[nn.Module], dtype: torch.dtype) -> type[nn.Module]:
    def forward(self: nn.Module, x: Tensor) -> Any:
        if x.device.type == "meta":  # which has no autocast, and computes nothing
            return kind.forward(self, x)
        with torch.autocast(x.device.type, dtype):
            return kind.forward(self, x)

    return type(kind.__name__, (kind,), {"forward": forward, "__module__": kind.__module__})
