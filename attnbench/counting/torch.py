"""PyTorch's own counter."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from attnbench.counting.operators import watch
from attnbench.counting.rule import Count, Rule, Shape
from attnbench.counting.twin import image, meta_twin


def count(model: nn.Module, input_shape: Shape) -> Count:
    """``FlopCounterMode`` over one forward on the meta device."""
    twin = meta_twin(model)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        twin(image(twin, input_shape))
    known = {str(packet): lambda *_: 0 for packet in flop_registry}
    not_counted = dict(watch(twin, input_shape, known).not_counted)
    return Count(operations=counter.get_total_flops(), not_counted=not_counted)


RULE = Rule(
    name="torch",
    definition="torch.utils.flop_counter: 2 a multiply-accumulate of products and convolutions.",
    source="PyTorch, the version in the environment",
    count=count,
)
