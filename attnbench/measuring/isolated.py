"""A module alone, at the sizes that it has in its host, and the ceilings of the machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from math import prod

import torch
from torch import nn

from attnbench.counting.rule import Count
from attnbench.counting.rules import executed
from attnbench.counting.twin import warmed_up
from attnbench.devices.precision import set_tf32
from attnbench.devices.table import kind_of
from attnbench.hosts.check_module import places
from attnbench.hosts.detection import body
from attnbench.hosts.placement.choice import Choice
from attnbench.hosts.positions import last_path
from attnbench.hosts.resnets import is_resnet
from attnbench.measuring.timing import Step
from attnbench.measuring.workload import image_for, inference, moving, network
from attnbench.plugins.resolve import parse
from attnbench.records import image_size
from attnbench.records.schema import Case, Counts
from attnbench.records.variants import LAUNCH, PRODUCT, STAGES, IsolatedModule, Map, map_of, piece
from attnbench.runtimes import cuda_graph
from attnbench.system import process_settings
from attnbench.text import error_line


def step(case: Case, variant: str) -> Step:
    """Build one forward of a module alone, or one run of a ceiling, on the case's device.

    Both are captured where the case says so: at small sizes a GPU else waits for Python.
    """
    ready = _step(case, variant)
    if not case.cuda_graph:
        return ready
    with ready.during():  # a graph keeps what holds while it is captured
        captured = cuda_graph.capture(ready)
    return replace(ready, parts={"step": captured}, move=None)  # it reads where its tensors were


def _step(case: Case, variant: str) -> Step:
    alone = piece(variant)
    if alone is None:
        return _ceiling(case, variant)
    module = attention(case, alone, case.device)
    image = image_for(case, input_shape(case, alone), case.device)
    move = moving(case, *module.parameters(), *module.buffers(), image)
    return Step(inference(module, module, image), move)


def count(case: Case, variant: str) -> Counts:
    """Count one step of a variant by the rule ``executed``, in the case's dtype."""
    alone = piece(variant)
    if alone is not None:
        shape = input_shape(case, alone)
        counted = _counted(case, alone, shape)
        return Counts(rules={executed.RULE.name: counted}, shape=shape)
    if (seen := map_of(variant)) is not None:
        shape = (case.batch_size, *seen)
        copied = prod(shape) * getattr(torch, case.dtype).itemsize
        return Counts(rules={executed.RULE.name: _of_ceiling(0, copied, copied)}, shape=shape)
    size, element = kind_of(case.device).product_size, getattr(torch, case.dtype).itemsize
    read, written = {
        PRODUCT: (2 * size**2 * element, size**2 * element),
        LAUNCH: (element, element),
    }.get(variant, (kind_of(case.device).copy_bytes,) * 2)
    macs = size**3 if variant == PRODUCT else 0
    return Counts(rules={executed.RULE.name: _of_ceiling(macs, read, written)})


def _of_ceiling(macs: int, read: int, written: int) -> Count:
    details = {"macs": macs, "bytes_read": read, "bytes_written": written, "kernels": 1}
    return Count(operations=macs, details=details)


def _counted(case: Case, alone: IsolatedModule, shape: tuple[int, ...]) -> Count:
    """Count without weights; where that fails, with the seed's weights and input."""

    def second_forward(device: str) -> Count:
        image = image_for(case, shape, device)
        return executed.count(warmed_up(attention(case, alone, device), image), image)

    try:
        return second_forward("meta")
    except Exception as error:
        counted = second_forward("cpu")
        return replace(counted, computed=error_line(error))


def attention(case: Case, alone: IsolatedModule, device: str) -> nn.Module:
    """Return the module of the last block of a stage, in evaluation mode."""
    return _attention(case, _host(case, alone.module, device), alone.stage)


def _attention(case: Case, host: nn.Module, stage: int) -> nn.Module:
    if not is_resnet(case.host) or case.at or case.replace:
        size = image_size.sides(case.image_size)
        return host.get_submodule(last_path(case.host, Choice.of(case), size, stage))
    block = body(host).get_submodule(f"layer{stage}")[-1]  # type: ignore[index]
    module: nn.Module = block.attention
    return module


@lru_cache(maxsize=2)  # on the device and on meta: the stages of a module follow each other
def _host(case: Case, module: str, device: str) -> nn.Module:
    return network(case, module, device).eval()


@lru_cache
def input_shape(case: Case, alone: IsolatedModule) -> tuple[int, ...]:
    """Return the module's input shape in its host: (batch, channels, height, width)."""
    row = parse(alone.module).load()
    # Its code is not run: it may not run on the CPU.
    choice = Choice((alone.stage,), "last", case.at, case.replace)
    (place,) = places(row, case.host, case.input_shape, choice)
    return (case.batch_size, *place.shape)


def maps(case: Case, modules: Iterable[str]) -> tuple[Map, ...]:
    """Return what the modules see of one image, (channels, height, width), each size once.

    The code of custom modules is loaded.
    """
    shapes = (
        input_shape(case, IsolatedModule(name, stage)) for name in modules for stage in STAGES
    )
    return tuple({(channels, height, width): None for _, channels, height, width in shapes})


def _copy(case: Case, variant: str, source: torch.Tensor) -> Step:
    target = torch.empty_like(source)  # in the layout of the source
    return Step({variant: lambda: target.copy_(source)}, moving(case, source, target))


def _ceiling(case: Case, variant: str) -> Step:
    if (seen := map_of(variant)) is not None:
        # The very map: of the same values, dtype and layout, so that it is in the same cache.
        return _copy(case, variant, image_for(case, (case.batch_size, *seen), case.device))
    dtype = getattr(torch, case.dtype)

    # Of normal values: a GPU at its limit of power runs on predictable ones up to 13% faster.
    generator = torch.Generator().manual_seed(case.seed)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator).to(case.device, dtype)

    if variant == LAUNCH:
        one = noise(1)
        return Step({"launch": lambda: one.mul_(1)})
    if variant != PRODUCT:
        elements = kind_of(case.device).copy_bytes // dtype.itemsize
        return _copy(case, variant, noise(elements))
    size = kind_of(case.device).product_size
    left, right, out = (noise(size, size) for _ in range(3))
    parts = {variant: lambda: torch.mm(left, right, out=out)}
    return Step(parts, moving(case, left, right, out), during=_as_convolutions)


@contextmanager
def _as_convolutions() -> Iterator[None]:
    """Let products use TF32 on CUDA as the convolutions do, whose ceiling the product is."""
    allowed = process_settings.CUDNN["allow_tf32"]
    set_tf32(convolutions=allowed, products=allowed)
    try:
        yield
    finally:
        set_tf32(convolutions=allowed, products=process_settings.MATMUL_TF32)
