"""Compute the exact figures of the suite's modules, and compare them with ``pins.toml``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from time import perf_counter

import torch
from torch import nn

from attnbench.claims.check import NetworkCounts
from attnbench.claims.outcome import Outcome
from attnbench.claims.pins import HOSTS, OF_TORCH, OUTPUT, QUANTITIES, UNITS, stated
from attnbench.modules import ATTENTION
from attnbench.stats.verdicts import reasons

CHANNELS, SIDE, DIGITS = 256, 8, 9
"""Of the map that a module's output is computed of; and of the figure that it becomes."""


def check(names: Iterable[str]) -> list[Outcome]:
    """Compute these pins and compare them; what another torch runs is not compared."""
    version, pins = stated()
    other, outcomes = minor(torch.__version__) != minor(version), []
    for name, figure, rule, seconds in _computed(names):
        holds = pins[name] == figure
        verdict = "as pinned" if holds else "changed"
        if other and not holds and name.endswith(OF_TORCH):
            verdict, holds = f"pinned for torch {version} only", True
        outcomes.append(
            Outcome(
                kind="claim",
                name=f"pin-{name}",
                subject=name.replace("-", " "),
                stated=float(pins[name]),
                computed=float(figure),
                unit=UNITS.get(name.rpartition("-")[2], "1"),
                stated_text=_shown(pins[name]),
                computed_text=_shown(figure),
                rule=rule,
                verdict=verdict,
                code=reasons.PINNED if holds else reasons.CHANGED,
                expected="as pinned",
                holds=holds,
                seconds=seconds,
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
    for name, figure, *_ in _computed(names):
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


def _computed(names: Iterable[str]) -> Iterator[tuple[str, int | str, str, float]]:
    """Yield name, figure, rule and the seconds it took; each network is built once."""
    counts = NetworkCounts()
    for name in names:
        begun_s = perf_counter()
        module, of_module = name.split("-", 1)
        figure: int | str
        if of_module == OUTPUT:
            torch.manual_seed(0)
            figure, rule = output_of(ATTENTION[module].build(CHANNELS)), "float64 output"
        else:
            host, quantity = of_module.split("-", 1)
            rule, summed, added = QUANTITIES[quantity]
            figure = sum(counts.get(host, module, rule, part, added=added) for part in summed)
        yield name, figure, rule, perf_counter() - begun_s


def _shown(figure: int | str) -> str:
    return figure if isinstance(figure, str) else f"{figure:,}"
