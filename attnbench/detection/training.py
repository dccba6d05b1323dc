"""What training a detector needs beside an engine: its loss, its optimiser, a step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim import SGD

from attnbench.detection.images import Target
from attnbench.detection.schedules import Schedule


def optimiser(network: nn.Module, schedule: Schedule) -> SGD:
    """Return SGD over what learns; the rate is set at each step."""
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return SGD(
        learning,
        schedule.learning_rate,
        momentum=schedule.momentum,
        weight_decay=schedule.weight_decay,
    )


def loss(network: nn.Module, images: Sequence[Tensor], targets: Sequence[Target]) -> Tensor:
    """Return the sum of a detector's losses, each a mean over the batch: a scalar.

    Images (3, height, width), 0 to 1; targets as ``DetectionImages.sample`` gives them. One without
    objects counts as background.
    """
    losses: dict[str, Tensor] = network(list(images), [dict(target) for target in targets])
    return torch.stack([*losses.values()]).sum()


def step(  # noqa: PLR0913, PLR0917  a step has these
    network: nn.Module,
    images: Sequence[Tensor],
    targets: Sequence[Target],
    optimizer: SGD,
    schedule: Schedule,
    rate: float,
) -> float:
    """Take one step at that rate; return the loss before it.

    Raises:
        FloatingPointError: the loss is not finite; no weight has been changed.
    """
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad(set_to_none=True)
    value = loss(network, images, targets)
    if not bool(value.isfinite()):
        raise FloatingPointError(f"the loss is {value.item()}")
    value.backward()  # type: ignore[no-untyped-call]
    if schedule.most_norm is not None:
        learning = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        nn.utils.clip_grad_norm_(learning, schedule.most_norm)
    optimizer.step()
    return value.item()
