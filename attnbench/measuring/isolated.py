"""A module alone, at the sizes that it has in its host, and what the machine can do at best."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import torch
from torch import nn

from attnbench.counting import executed
from attnbench.counting.rule import Count
from attnbench.counting.twin import mode_of, twin
from attnbench.hosts.build import build
from attnbench.hosts.detection import body
from attnbench.measuring.timing import Step
from attnbench.measuring.workload import held, image_for, moving, network
from attnbench.records.schema import Case, Counts
from attnbench.records.variants import LAUNCH, PRODUCT, IsolatedModule, piece
from attnbench.system import process_settings

COPY_BYTES = {"cpu": 2**26, "cuda": 2**28}
"""Of a copy's source, and of its target: more than most caches hold."""

PRODUCT_SIZE = {"cpu": 2048, "cuda": 8192}
"""Rows and columns of both matrices."""


def step(case: Case, variant: str) -> Step:
    """One forward of a piece, or one run of a ceiling's measure, on the case's device."""
    found = piece(variant)
    if found is None:
        return _ceiling(case, variant)
    module = attention(case, found, case.device)
    image = image_for(case, input_shape(case, found), case.device)

    def infer() -> object:
        with torch.inference_mode():
            return module(image)

    return Step({"forward": infer}, moving(held(module, image)) if case.device == "cpu" else None)


def count(case: Case, variant: str) -> Counts:
    """What one step of a variant does, by the rule ``executed``, in the case's dtype."""
    found = piece(variant)
    if found is not None:
        shape = input_shape(case, found)
        counted = _counted(case, found, shape)
        return Counts(rules={executed.RULE.name: counted}, shape=shape)
    size, element = PRODUCT_SIZE[case.device], getattr(torch, case.dtype).itemsize
    moved = {
        PRODUCT: (2 * size**2 * element, size**2 * element),
        LAUNCH: (element, element),
    }.get(variant, (COPY_BYTES[case.device],) * 2)
    macs = size**3 if variant == PRODUCT else 0
    details = {"macs": macs, "bytes_read": moved[0], "bytes_written": moved[1], "kernels": 1}
    return Counts(rules={executed.RULE.name: Count(operations=macs, details=details)})


def _counted(case: Case, wanted: IsolatedModule, shape: tuple[int, ...]) -> Count:
    """Count without weights; where that fails, with the seed's weights and input."""
    try:
        return executed.count(attention(case, wanted, "meta"), image_for(case, shape, "meta"))
    except Exception as error:
        counted = executed.count(attention(case, wanted, "cpu"), image_for(case, shape, "cpu"))
        return replace(counted, computed=f"{type(error).__name__}: {error}")


def attention(case: Case, wanted: IsolatedModule, device: str) -> nn.Module:
    """The module of the last block of a stage, in evaluation mode."""
    host = _host(case, wanted.module, device)
    block = body(host).get_submodule(f"layer{wanted.stage}")[-1]  # type: ignore[index]
    module: nn.Module = block.attention
    return module


@lru_cache(maxsize=2)  # one on the device and its twin on meta: pieces of a module come together
def _host(case: Case, module: str, device: str) -> nn.Module:
    return network(case, module, device).eval()


@lru_cache
def input_shape(case: Case, wanted: IsolatedModule) -> tuple[int, ...]:
    """(batch, channels, height, width) of what a piece takes in its host."""
    with torch.device("meta"):
        plain = build(case.host, wanted.module)
    host, image = twin(plain, case.input_shape)
    seen: list[torch.Size] = []
    block = body(host).get_submodule(f"layer{wanted.stage}")[-1]  # type: ignore[index]
    block.attention.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape))
    with torch.no_grad(), mode_of(image):
        host(image)
    return tuple(seen[0])


def _ceiling(case: Case, variant: str) -> Step:
    dtype = getattr(torch, case.dtype)
    on_cpu = case.device == "cpu"
    options = {"dtype": dtype, "device": case.device}
    if variant == PRODUCT:
        left, right, out = (torch.ones([PRODUCT_SIZE[case.device]] * 2, **options) for _ in "lro")

        def multiply() -> object:
            # As the convolutions beside it do on CUDA, which is what it is a ceiling for.
            torch.backends.cuda.matmul.allow_tf32 = process_settings.CUDNN["allow_tf32"]
            answer = torch.mm(left, right, out=out)
            torch.backends.cuda.matmul.allow_tf32 = process_settings.MATMUL_TF32
            return answer

        return Step({"product": multiply}, moving([left, right, out]) if on_cpu else None)
    if variant == LAUNCH:
        one = torch.ones(1, **options)
        return Step({"launch": lambda: one.mul_(1)})
    source, target = (
        torch.ones(COPY_BYTES[case.device] // dtype.itemsize, **options) for _ in range(2)
    )
    return Step(
        {"copy": lambda: target.copy_(source)}, moving([source, target]) if on_cpu else None
    )
