"""Where and in what a network is run: device, dtype, layout in memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Conditions:
    """The device, dtype and layout of a network and its images."""

    device: str = "cpu"
    dtype: str = "float32"
    channels_last: bool = False

    @property
    def described(self) -> str:
        """In words: ``in bfloat16, channels last, on cuda``."""
        parts = (
            f"in {self.dtype}",
            "channels last" if self.channels_last else "",
            f"on {self.device}" if self.device != BASE.device else "",
        )
        return ", ".join(filter(None, parts))

    def place(self, module: nn.Module) -> nn.Module:
        """Move a module there and convert its weights; complex ones keep their dtype.

        ``Module.to`` with a dtype would drop the imaginary part of complex weights.
        """
        dtype = getattr(torch, self.dtype)
        if any(tensor.is_complex() for tensor in (*module.parameters(), *module.buffers())):
            module._apply(lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor)
            moved = module.to(self.device)
        else:
            moved = module.to(self.device, dtype)
        return moved.to(memory_format=self._layout)

    def place_image(self, image: Tensor) -> Tensor:
        """Return the image (batch, channels, height, width) there, in its dtype and layout."""
        dtype = getattr(torch, self.dtype)
        return image.to(self.device).to(dtype=dtype, memory_format=self._layout)

    @property
    def _layout(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format


BASE = Conditions()
"""What every custom module is tried in: float32 on the CPU, as its figures are counted."""
