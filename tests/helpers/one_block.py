"""ResNet-50 with one bottleneck a stage, for tests that need its names, maps and widths alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnbench.hosts.build import HOSTS, Host

if TYPE_CHECKING:
    import pytest  # child processes, which import this too, need none

ONE_BLOCK = Host((1, 1, 1, 1))
"""Instead of 3, 4, 6 and 3."""


def use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build it wherever ``resnet50`` is asked for."""
    monkeypatch.setitem(HOSTS, "resnet50", ONE_BLOCK)
