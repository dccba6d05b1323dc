"""What a runtime makes of a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

Forward = Callable[[torch.Tensor], Any]
"""From an image (batch, channels, height, width) to the network's output."""


@dataclass(frozen=True)
class Prepared:
    """A network that a runtime executes."""

    call: Forward


Prepare = Callable[[nn.Module, torch.Tensor], Prepared]
"""From a network and an example of its images to what executes it."""
