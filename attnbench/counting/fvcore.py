"""The fvcore package, as installed."""

from __future__ import annotations

import warnings

import torch
from torch import nn

from attnbench.counting.rule import Count, Rule, Shape
from attnbench.counting.twin import image, meta_twin

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # about torch.jit, which is fvcore's choice
    from fvcore.nn import FlopCountAnalysis, parameter_count


def analysis(model: nn.Module, input_shape: Shape, *, training: bool = False) -> FlopCountAnalysis:
    """fvcore's analysis of a twin, run once.

    It traces the network, which newer versions of torch refuse on the meta device, so this
    counter alone runs on memory: on zeros, because what happens to lie in fresh memory may be
    numbers too small to be quick with.
    """
    twin = meta_twin(model).to_empty(device="cpu").train(training)
    with torch.no_grad():
        for tensor in (*twin.parameters(), *twin.buffers()):
            tensor.zero_()
    found = FlopCountAnalysis(twin, torch.zeros_like(image(twin, input_shape), device="cpu"))
    found.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as above
        found.total()
    return found


def count(model: nn.Module, input_shape: Shape) -> Count:
    """``FlopCountAnalysis`` in evaluation mode; one fused multiply-add counts one."""
    found = analysis(model, input_shape)
    return Count(
        params=parameter_count(model)[""],
        operations=int(found.total()),
        not_counted=uncounted(found),
    )


def count_training(model: nn.Module, input_shape: Shape) -> Count:
    """The same in training mode: half of what two inputs count.

    A batch norm over a single position cannot train on a single image, and SK has one.
    """
    found = analysis(model, (2 * input_shape[0], *input_shape[1:]), training=True)
    return Count(operations=int(found.total()) // 2, not_counted=uncounted(found))


def uncounted(found: FlopCountAnalysis) -> dict[str, int]:
    """fvcore's own list. It passes over operators that it has chosen to ignore (ReLU, cat)."""
    return {name: int(times) for name, times in found.unsupported_ops().items()}


RULE = Rule(
    name="fvcore",
    definition=(
        "What fvcore.nn.FlopCountAnalysis returns in eval mode: one for a multiply-add. What it "
        "lists as not counted is its own list, which passes over ReLU, cat and others."
    ),
    source="the fvcore package (facebookresearch/fvcore), the version in the environment",
    count=count,
)

TRAINING = Rule(
    name="fvcore, training",
    definition="The same in training mode, where batch norms take their statistics too.",
    source="the fvcore package, as above",
    count=count_training,
)
