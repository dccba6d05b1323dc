"""Exact figures of the suite's own modules, so that no default of theirs changes unnoticed.

Published figures are rounded, and some hold for several settings. ``pins.toml`` states, beside
them, exact integers of every module in two hosts, and what each module computes.
``make pins`` writes the file anew.
"""

from __future__ import annotations

import tomllib
from fnmatch import fnmatchcase
from importlib.resources import files

HOSTS = ("resnet50", "resnet101")

QUANTITIES: dict[str, tuple[str, tuple[str, ...], bool]] = {
    "added-params": ("learnable", ("params",), True),
    "added-macs": ("macs", ("operations",), True),
    "added-leaf": ("leaf", ("operations",), True),
    "added-kernels": ("executed", ("kernels",), True),
    "added-moved-bytes": ("executed", ("bytes_read", "bytes_written"), True),
    "peak-live-bytes": ("executed", ("peak_live_bytes",), False),
}
"""Name -> rule, its quantities that are summed, and whether the plain host's is taken off."""

OF_TORCH = tuple(name for name, (rule, _, _) in QUANTITIES.items() if rule == "executed")
"""What depends on which operators a version of torch runs."""

UNITS = {"params": "parameters", "macs": "MAC", "kernels": "kernels", "bytes": "bytes"}
"""Last word of a quantity -> its unit."""

OUTPUT = "output"

Pins = dict[str, int | str]
"""Figures by ``MODULE-HOST-QUANTITY``, and outputs by ``MODULE-output``."""


def stated() -> tuple[str, Pins]:
    """Return the version of torch that the file was written with, and its pins."""
    text = files("attnbench.claims").joinpath("pins.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text)
    return data["torch"], data["pins"]


def select(pattern: str | None) -> list[str]:
    """Return the pins whose id, ``pin-NAME``, matches a pattern such as ``pin-sa-*``."""
    return [name for name in stated()[1] if fnmatchcase(f"pin-{name}", pattern or "*")]
