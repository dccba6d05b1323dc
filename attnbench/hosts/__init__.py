"""Networks with an attention module in their blocks."""

from __future__ import annotations

from attnbench.hosts.build import HOSTS, build, resnet
from attnbench.hosts.detection import DETECTORS

__all__ = ["DETECTORS", "HOSTS", "build", "resnet"]
