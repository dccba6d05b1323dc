"""Exact figures of the suite's own modules, so that no default of theirs changes unnoticed.

Published figures are rounded, and some hold for several settings. ``pins.toml`` states, beside
them, exact integers of every module in two hosts, and what each module computes.
``make pins`` writes the file anew.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from importlib.resources import files

import torch
from torch import nn

from attnbench.claims.check import NetworkCounts
from attnbench.claims.outcome import Outcome
from attnbench.modules import ATTENTION

HOSTS = ("resnet50", "resnet101")

QUANTITIES: dict[str, tuple[str, tuple[str, ...], bool]] = {
    "added-params": ("learnable", ("params",), True),
    "added-macs": ("macs", ("operations",), True),
    "added-leaf": ("leaf", ("operations",), True),
    "added-kernels": ("executed", ("kernels",), True),
    "added-moved-bytes": ("executed", ("bytes_read", "bytes_written"), True),
    "peak-live-bytes": ("executed", ("peak_live_bytes",), False),
}
"""Name -> rule, the quantities of it that are summed, and whether the plain host's is taken off."""

OF_TORCH = tuple(name for name, (rule, _, _) in QUANTITIES.items() if rule == "executed")
"""What depends on which operators a version of torch runs."""

OUTPUT = "output"
CHANNELS, SIDE, DIGITS = 256, 8, 9

Pins = dict[str, int | str]
"""Figures by ``MODULE-HOST-QUANTITY``, and outputs by ``MODULE-output``."""


def stated() -> tuple[str, Pins]:
    """Return the version of torch that the file was written with, and its pins."""
    text = files("attnbench.claims").joinpath("pins.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text)
    return data["torch"], data["pins"]


def select(pattern: str | None) -> list[str]:
    """Return the names of the pins whose id, ``pin-NAME``, matches a pattern such as ``pin-sa-*``."""
    return [name for name in stated()[1] if fnmatchcase(f"pin-{name}", pattern or "*")]


def check(names: Iterable[str]) -> list[Outcome]:
    """Compute these pins and compare them; what another torch runs is not compared."""
    version, pins = stated()
    outcomes = []
    other = minor(torch.__version__) != minor(version)
    for name, figure, rule in _computed(names):
        pinned, holds = pins[name], pins[name] == figure
        verdict = "as pinned" if holds else "changed"
        if other and not holds and name.endswith(OF_TORCH):
            verdict, holds = f"pinned for torch {version} only", True
        outcomes.append(
            Outcome(
                name=f"pin-{name}",
                subject=name.replace("-", " "),
                stated=_shown(pinned),
                computed=_shown(figure),
                rule=rule,
                verdict=verdict,
                expected="as pinned",
                holds=holds,
            )
        )
    return outcomes


def written() -> str:
    """Return the content of ``pins.toml`` as of now."""
    names = [f"{module}-{OUTPUT}" for module in ATTENTION]
    names += [
        f"{m}-{host}-{quantity}" for host in HOSTS for m in ATTENTION for quantity in QUANTITIES
    ]
    lines = [
        "# Exact figures of the suite's modules; `make pins` writes this file anew.",
        "# What ends in kernels or bytes holds for this torch.",
        f'torch = "{minor(torch.__version__)}"',
        "",
        "[pins]",
    ]
    for name, figure, _ in _computed(names):
        lines.append(f"{name} = " + (f'"{figure}"' if isinstance(figure, str) else f"{figure:_}"))
    return "\n".join([*lines, ""])


def minor(version: str) -> str:
    """Return ``2.15`` of ``2.15.0+cpu``."""
    return ".".join(version.split(".")[:2])


def output_of(module: nn.Module) -> str:
    """Return what a module computes, as one number of a few digits that holds on every machine.

    In float64, for (2, 256, 8, 8) of seeded noise, with every parameter noise too: some start at
    zero, where a module is the identity. The output is summed with seeded weights.
    """
    generator = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    module = module.double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(noise(*parameter.shape))
        x = noise(2, CHANNELS, SIDE, SIDE)
        out = module(x)
        mean = (out * noise(*out.shape)).mean() / out.abs().mean()
    return f"{float(mean):.{DIGITS}f}"


def _computed(names: Iterable[str]) -> Iterator[tuple[str, int | str, str]]:
    """Yield name, figure and rule; each network is built once."""
    counts = NetworkCounts()
    for name in names:
        module, rest = name.split("-", 1)
        if rest == OUTPUT:
            torch.manual_seed(0)
            yield name, output_of(ATTENTION[module].build(CHANNELS)), "float64 output"
            continue
        host, quantity = rest.split("-", 1)
        rule, summed, added = QUANTITIES[quantity]
        figures = [counts.get(host, module, rule, part, added=added) for part in summed]
        yield name, sum(figures), rule


def _shown(figure: int | str) -> str:
    return figure if isinstance(figure, str) else f"{figure:,}"
