"""A variant of a case as one callable step, whose time and memory are measured."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from attnbench.hosts.build import CLASSES, build
from attnbench.hosts.conditions import Conditions
from attnbench.hosts.norm_statistics import estimate
from attnbench.measuring.timing import Step
from attnbench.records.schema import Case
from attnbench.records.variants import CONTROL, PLAIN

Forward = Callable[[torch.Tensor], Any]
Parts = dict[str, Callable[[], object]]


def network(case: Case, variant: str, device: str, *, statistics: bool = False) -> nn.Module:
    """Build the variant's network on a device ("meta" allocates nothing), with the case's seed.

    All variants of a case have the same values in the host's own weights. With ``statistics`` its
    batch norms have those of one float32 forward of the seed's noise, the same noise for all
    variants, so that deep networks stay within float16.
    """
    attention = None if variant in (PLAIN, CONTROL) else variant
    torch.manual_seed(case.seed)
    with torch.device("meta" if device == "meta" else "cpu"):  # the same weights on any device
        model = build(case.host, attention, stages=case.stages, blocks=case.blocks)
    if statistics and device != "meta":
        shape = (case.input_shape[2], case.input_shape[3])
        # A module that needs a GPU fails on the CPU, where the others give the same on any device.
        if not estimate(model, shape, case.seed) and device != "cpu":
            estimate(model.to(device), shape, case.seed)
    return conditions_of(case, device).place(model)


def step(case: Case, variant: str, device: str | None = None, *, statistics: bool = False) -> Step:
    """Build one inference or one whole training step, which can be called again and again.

    Inference is a forward and returns the logits (batch, 1000), or the outputs of a detector's
    heads. Training is a forward, a backward and an optimiser's step (SGD with momentum, and the
    release of the gradients), and returns the loss. Its learning rate is 0: the arithmetic is
    that of any step, and the weights stay, so that every step does the same work.

    Raises:
        RuntimeError: what torch raises where the device cannot hold or capture it.
    """
    device = device or case.device
    computes = device != "meta"  # else there is nothing to compile or to capture
    model = network(case, variant, device, statistics=statistics)
    image = image_for(case, case.input_shape, device)
    forward = compiled(model) if case.compiled and computes else model
    ready = _step(case, model, forward, image)
    return captured(ready) if case.cuda_graph and computes else ready


def _step(case: Case, model: nn.Module, forward: Forward, image: torch.Tensor) -> Step:
    make = inference if case.mode == "inference" else _training
    parts = make(model, forward, image)
    return Step(parts, moving(case, *model.parameters(), *model.buffers(), image), model)


def image_for(case: Case, shape: tuple[int, ...], device: str) -> torch.Tensor:
    """Draw normal noise of a shape (batch, channels, height, width) from the case's seed."""
    conditions = conditions_of(case, device)
    if device == "meta":
        return conditions.place_image(torch.empty(shape, device="meta"))
    generator = torch.Generator().manual_seed(case.seed)
    return conditions.place_image(torch.randn(shape, generator=generator))


def conditions_of(case: Case, device: str | None = None) -> Conditions:
    """Return device, dtype and layout of a case, or of the same on another device."""
    return Conditions(device or case.device, case.dtype, case.channels_last)


def moving(case: Case, *tensors: torch.Tensor) -> Callable[[], None] | None:
    """Return a call that copies the tensors to other addresses; None for a GPU's."""
    if case.device != "cpu":
        return None

    def move() -> None:
        for tensor in tensors:
            tensor.data = tensor.data.clone()

    return move


def inference(model: nn.Module, forward: Forward, image: torch.Tensor) -> Parts:
    """Return a forward in evaluation mode as the only part."""
    model.eval()
    mode = torch.no_grad if image.device.type == "meta" else torch.inference_mode

    def infer() -> object:
        with mode():
            return forward(image)

    return {"forward": infer}


def _training(model: nn.Module, forward: Forward, image: torch.Tensor) -> Parts:
    model.train()
    labels = torch.arange(image.shape[0], device=image.device) % CLASSES
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0, momentum=0.9)
    losses: list[torch.Tensor] = []  # the graph lives from its forward to its backward

    def compute_loss() -> None:
        losses.append(cross_entropy(forward(image).float(), labels))

    def differentiate() -> None:
        losses[-1].backward()  # type: ignore[no-untyped-call]
        losses[-1] = losses[-1].detach()

    def update() -> torch.Tensor:
        optimizer.step()
        optimizer.zero_grad()
        return losses.pop()

    return {"forward": compute_loss, "backward": differentiate, "optimizer": update}


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
def _start_compiler() -> None:
    """Import it and start its workers, which would else count for the first network."""
    torch.compile(torch.relu)(torch.ones(2))


CAPTURE_AFTER = 3
"""Steps before a capture, in which libraries choose their algorithms."""

_pool = cache(torch.cuda.graph_pool_handle)


def compiled(model: nn.Module) -> Forward:
    """Return the forward through ``torch.compile``, which compiles when first called.

    As a whole: where the compiler would leave a part to Python, it raises.
    """
    for name, limit in LIMITS.items():
        if hasattr(torch._dynamo.config, name):
            setattr(torch._dynamo.config, name, limit)
    _start_compiler()
    return torch.compile(model, fullgraph=True, dynamic=False)


def captured(step: Step) -> Step:
    """Capture the step as one CUDA graph: all launches recorded, then replayed by one call.

    The graphs of a process share their memory, as no two run at the same time.
    """
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(CAPTURE_AFTER):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph, pool=_pool()):
            output = step()
    except Exception:
        _pool.cache_clear()  # a failed capture may leave it in use
        raise

    def replay() -> object:
        graph.replay()
        return output

    return Step({"step": replay}, network=step.network)
