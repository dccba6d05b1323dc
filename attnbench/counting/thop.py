"""The thop package, as installed."""

from __future__ import annotations

import sys
import warnings

from torch import nn

from attnbench.counting.operators import outside
from attnbench.counting.rule import Count, Rule, Shape
from attnbench.counting.twin import image, meta_twin

if sys.version_info >= (3, 12):
    import setuptools  # noqa: F401  brings distutils back, which thop imports
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # about distutils, which is thop's choice
    import thop
    from thop.profile import register_hooks, zero_ops


def _covers(module: nn.Module) -> bool:
    return register_hooks.get(type(module), zero_ops) is not zero_ops


def count(model: nn.Module, input_shape: Shape) -> Count:
    """``thop.profile`` on a twin: it leaves buffers behind in the network that it is given."""
    not_counted = outside(meta_twin(model), input_shape, _covers)
    twin = meta_twin(model)
    operations, params = thop.profile(twin, inputs=(image(twin, input_shape),), verbose=False)
    return Count(params=int(params), operations=int(operations), not_counted=not_counted)


RULE = Rule(
    name="thop",
    definition="What thop.profile returns: by leaf module of a type it knows, in eval mode.",
    source="the thop package (Lyken17/pytorch-OpCounter), the version in the environment",
    count=count,
)
