"""ResNet-50 with little inside it, for tests that need its names and its maps alone."""

import pytest

from attnbench.hosts.build import HOSTS, Host

ONE_BLOCK = Host((1, 1, 1, 1), width_per_group=32)
"""One bottleneck a stage instead of 3, 4, 6 and 3, and half as many channels inside it."""


def use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build it wherever ``resnet50`` is asked for."""
    monkeypatch.setitem(HOSTS, "resnet50", ONE_BLOCK)
