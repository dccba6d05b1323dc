"""``torch.compile``: the network as one graph of fused kernels, compiled when first called."""

from __future__ import annotations

import warnings
from functools import cache

import torch
from torch import nn
from torch._inductor import config

from attnbench.runtimes.prepared import Prepared

LIMITS = {
    "recompile_limit": 1024,
    "accumulated_recompile_limit": 1024,
    "cache_size_limit": 1024,  # the same under its older names
    "accumulated_cache_size_limit": 1024,
    "fail_on_recompile_limit_hit": True,
    "fail_on_cache_limit_hit": True,
}
"""Limits of the compiler on how often one function is compiled, raised: the networks of a run share
their code. Beyond a limit it would silently fall back to eager; here that is an error."""


@cache
def start(device: str) -> None:
    """Import the compiler and start its workers, which would else count for the first network.

    On the run's own device: a GPU has another compiler than the CPU, and starts it too.
    """
    torch.compile(torch.relu)(torch.ones(2, device=device))


def prepare(network: nn.Module, example: torch.Tensor) -> Prepared:
    """Return the forward through ``torch.compile``.

    As a whole: where the compiler would leave a part to Python, it raises when called.
    """
    config.force_disable_caches = True  # compile time is recorded
    warnings.filterwarnings("ignore", message="dynamo_pgo force disabled")
    for name, limit in LIMITS.items():
        if hasattr(torch._dynamo.config, name):
            setattr(torch._dynamo.config, name, limit)
    start(str(example.device))
    return Prepared(torch.compile(network, fullgraph=True, dynamic=False))
