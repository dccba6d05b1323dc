"""A variant of a case as one callable step: the work that is timed and whose memory is taken."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from .hosts import build
from .records import CONTROL, PLAIN, Case
from .timing import Step

CLASSES = 1000


def network(case: Case, variant: str, device: str) -> nn.Module:
    """The variant's network on a device ("meta" allocates nothing), with the case's seed.

    All variants of a case share the values of the host's own weights.
    """
    attention = None if variant in (PLAIN, CONTROL) else variant
    torch.manual_seed(case.seed)
    with torch.device("meta" if device == "meta" else "cpu"):  # the same weights on any device
        model = build(case.host, attention)
    layout = torch.channels_last if case.channels_last else torch.contiguous_format
    return model.to(device=device, dtype=getattr(torch, case.dtype)).to(memory_format=layout)  # type: ignore[call-overload,no-any-return]


def step(case: Case, variant: str, device: str | None = None) -> Step:
    """One inference or one whole training step, ready to be called again and again.

    Inference returns the logits (batch, 1000). Training is a forward, a backward, an SGD step
    with momentum and the release of the gradients, and returns the loss. Its learning rate is
    0: the arithmetic is that of any step, and the weights stay, so that every step does the
    same work.
    """
    device = device or case.device
    model = network(case, variant, device)
    layout = torch.channels_last if case.channels_last else torch.contiguous_format
    generator = torch.Generator().manual_seed(case.seed)
    shape = (case.batch_size, 3, case.image_size, case.image_size)
    if device == "meta":
        image = torch.empty(shape, device="meta")
    else:
        image = torch.randn(shape, generator=generator).to(device)
    image = image.to(dtype=getattr(torch, case.dtype), memory_format=layout)
    if case.mode == "inference":
        return _inference(model, image)
    return _training(model, image)


def _inference(model: nn.Module, image: torch.Tensor) -> Step:
    model.eval()

    def forward() -> torch.Tensor:
        with torch.inference_mode(image.device.type != "meta"), torch.no_grad():
            logits: torch.Tensor = model(image)
        return logits

    return forward


def _training(model: nn.Module, image: torch.Tensor) -> Step:
    model.train()
    labels = torch.arange(image.shape[0], device=image.device) % CLASSES
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0, momentum=0.9)

    def train() -> torch.Tensor:
        loss = cross_entropy(model(image).float(), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
        return loss.detach()

    return train
