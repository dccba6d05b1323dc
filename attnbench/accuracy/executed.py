"""A checkpoint's network in a runtime that executes a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module

import torch
from torch import nn

from attnbench import temporary
from attnbench.errors import UserError
from attnbench.files import write_whole
from attnbench.records.schema import Environment
from attnbench.runtimes import artefact, onnx_file
from attnbench.runtimes.int8.images import filled
from attnbench.runtimes.prepared import Prepared, Settings
from attnbench.runtimes.table import TABLE


@dataclass(frozen=True)
class Executed:
    """What executes the network: from images (at most a batch) to logits, and its error."""

    call: Callable[[torch.Tensor], torch.Tensor]
    relative_error: float
    """To eager PyTorch in float32, as of a run, on the first batch."""

    facts: Environment
    """Of an int8 file the bits of its weights."""


def execute(
    network: nn.Module,
    batch: torch.Tensor,
    runtime: str,
    settings: Settings,
    calibration: Sequence[torch.Tensor] = (),
) -> Executed:
    """Export a network for the shape of a batch, load it, and compare it with eager PyTorch.

    Raises:
        UserError: it cannot be exported, or the runtime computes something else.
    """
    with torch.inference_mode():
        wanted = network(batch)
    bound = artefact.most_allowed(network, [batch], [wanted], settings.dtype)
    row = TABLE[runtime]
    facts: Environment = {}
    with temporary.folder() as folder:
        file = folder / "network.onnx"
        try:
            write_whole(file, onnx_file.export(network, batch))
        except onnx_file.NotExportedError as error:
            raise UserError(f"the network cannot be exported for {runtime}: {error}") from error
        if settings.dtype != "float32":  # as rounding can hide a wrong export
            in_float32 = row.load()(file, replace(settings, dtype="float32"))
            _held(in_float32, batch, wanted, runtime, "float32", artefact.BOUND["float32"])
        if settings.dtype == "int8":
            int8 = import_module(artefact.INT8)
            facts = {"weight_bits": int8.weight_bits()}
            write_whole(file, int8.quantised(file, calibration))
        prepared = row.load()(file, settings)
    difference = _held(prepared, batch, wanted, runtime, settings.dtype, bound)

    def call(images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = prepared.call(filled(images, len(batch)))[0]
        return logits[: len(images)]

    return Executed(call, difference, facts)


def _held(  # noqa: PLR0913, PLR0917  what is compared, and how it is called
    prepared: Prepared,
    batch: torch.Tensor,
    wanted: torch.Tensor,
    runtime: str,
    dtype: str,
    bound: float,
) -> float:
    with torch.inference_mode():
        difference = artefact.relative_error(wanted, prepared.call(batch))
    if not difference <= bound:
        raise UserError(
            f"{runtime} in {dtype} gives other logits than eager PyTorch: they differ by "
            f"{difference:.3%} of the largest, and {bound:.3%} is allowed"
        )
    return difference
