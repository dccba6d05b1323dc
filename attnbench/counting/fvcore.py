"""The fvcore package, as installed."""

from __future__ import annotations

import warnings

import torch
from torch import nn

from .rule import Count, Rule, Shape
from .twin import meta_twin

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # about torch.jit, which is fvcore's choice
    from fvcore.nn import FlopCountAnalysis, parameter_count


def count(model: nn.Module, input_shape: Shape) -> Count:
    """``FlopCountAnalysis`` in eval mode; one fused multiply-add counts one.

    It traces the network, which newer versions of torch refuse on the meta device, so this
    counter alone runs on memory that is allocated but never filled.
    """
    twin = meta_twin(model).to_empty(device="cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as above
        analysis = FlopCountAnalysis(twin, torch.empty(input_shape))
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        operations = int(analysis.total())
        not_counted = {name: int(times) for name, times in analysis.unsupported_ops().items()}
    return Count(params=parameter_count(twin)[""], operations=operations, not_counted=not_counted)


RULE = Rule(
    name="fvcore",
    definition="What fvcore.nn.FlopCountAnalysis returns in eval mode: one for a multiply-add.",
    source="the fvcore package (facebookresearch/fvcore), the version in the environment",
    count=count,
)
