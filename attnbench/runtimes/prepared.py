"""What a runtime makes of a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from attnbench.records.schema import Environment

Forward = Callable[[torch.Tensor], Any]
"""From an image (batch, channels, height, width) to the network's output."""


@dataclass(frozen=True)
class Settings:
    """How a file is to be executed."""

    threads: int
    dtype: str
    """In which it computes; images and outputs are float32."""
    device: str = "cpu"


@dataclass(frozen=True)
class Prepared:
    """A network that a runtime executes."""

    call: Forward
    renew: Callable[[], None] | None = None
    """Makes it anew from its file, so that its weights lie at other addresses."""
    facts: Environment = field(default_factory=dict)
    """The runtime's own settings, as it states them itself."""
    operators: Callable[[], Mapping[str, int]] | None = None
    """Returns how many operators of each type it executes, after its own optimisation."""


Prepare = Callable[[nn.Module, torch.Tensor], Prepared]
"""From a network and an example of its images to what executes it."""

Build = Callable[[Path, Settings], bytes]
"""From a network's ONNX file to the runtime's own file."""

Load = Callable[[Path, Settings], Prepared]
"""From a network's file to what executes it."""
