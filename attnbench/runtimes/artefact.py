"""A network's file: exported once, held against the network itself, described."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from attnbench._version import __version__
from attnbench.errors import UserError
from attnbench.files import write_whole
from attnbench.records.case import RUNTIMES, Case
from attnbench.records.jsonl import writing_to
from attnbench.records.schema import Environment, Export
from attnbench.runtimes import onnx_file
from attnbench.runtimes.prepared import Prepared, Settings
from attnbench.runtimes.table import TABLE

BOUND = {"float32": 1e-3, "bfloat16": 5e-2, "int8": 0.5}
"""By dtype: the most that an output may differ from eager PyTorch's in float32, as a share of the
largest. Networks of the suite differ by about 1e-6 in float32, by 0.5% in bfloat16 and by 2% in
int8, whose error depends on the images that it was calibrated on: what is beyond this bound is no
approximation any more."""

INT8 = "attnbench.runtimes.int8"
"""Imported only for int8: OpenVINO alone needs no ONNX Runtime."""

VERSIONS = ("torch", "torchvision", "onnx", "onnxscript")
"""The packages that a file depends on."""


class OtherAnswersError(Exception):
    """What the runtime computes is not what the network computes."""


@dataclass(frozen=True)
class Images:
    """What a network is exported, compared and calibrated on, in float32."""

    compared: Sequence[torch.Tensor]
    """The first is the example that is exported, and the one that is timed. On the others it shows
    if something was copied from the example into the file as a constant."""
    calibration: Sequence[torch.Tensor]
    """For int8."""


@dataclass(frozen=True)
class Subject:
    """The network that a file holds: a variant of a case."""

    case: Case
    variant: str
    source: str | None
    """Of a custom module, the digest of its code."""
    host_source: str | None = None
    """Of a custom host, that of its."""

    @property
    def file_name(self) -> str:
        """The name of its file, with the digest of all that determines it."""
        case, int8 = self.case, self.case.dtype == "int8"
        versions = (*VERSIONS, "onnxruntime") if int8 else VERSIONS
        determined = {
            "network": [case.host, self.host_source, self.variant, self.source],
            "places": [case.stages, case.blocks, case.at, case.replace],
            "weights": case.seed,
            "input": case.input_shape,
            "versions": [__version__, *map(version, versions)],
        }
        digest = hashlib.sha256(json.dumps(determined, sort_keys=True).encode()).hexdigest()
        host = re.sub(r"[^\w.-]+", "-", Path(case.host).name)  # which may be a file's function
        return f"{host}-{digest[:16]}{'-int8' * int8}.onnx"


def make(folder: Path, subject: Subject, network: nn.Module, images: Images) -> Export:
    """Export a network to a folder unless its file is there; load and describe it.

    Raises:
        NotExportedError: it cannot be exported.
        OtherAnswersError: its outputs differ from eager PyTorch's by more than the bound.
        UserError: the file cannot be written.
    """
    case = subject.case
    start = perf_counter()
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
    exported_subject = replace(subject, case=replace(case, dtype="float32"))
    file, exported = (folder / known.file_name for known in (subject, exported_subject))
    for cut_off in folder.glob(".*.onnx.*"):  # by an earlier call that was killed as it wrote
        cut_off.unlink()
    made = [path for path in dict.fromkeys((exported, file)) if not path.exists()]
    if exported in made:
        write_whole(exported, onnx_file.export(network, images.compared[0]))
    if file in made and file != exported:
        write_whole(file, import_module(INT8).quantised(exported, images.calibration))
    exported_s = perf_counter() - start if made else None
    start = perf_counter()
    prepared = load(file, case)
    loaded_s = perf_counter() - start
    with torch.inference_mode():
        error = max(
            relative_error(network(image), prepared.call(image)) for image in images.compared
        )
    bound = BOUND[case.dtype]
    if not error <= bound:  # NaN is no answer either
        raise OtherAnswersError(
            f"{RUNTIMES[case.runtime]} in {case.dtype} gives other outputs than eager PyTorch: "
            f"they differ by {error:.3%} of the largest, and {bound:.3%} is allowed"
        )
    data = file.read_bytes()
    calibrated: Environment = {}
    if case.dtype == "int8":
        calibrated["calibration"] = f"{len(images.calibration)} batches of noise of other seeds"
    return Export(
        file=file.name,
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        seconds=exported_s,
        load_s=loaded_s,
        operators=prepared.operators() if prepared.operators else {},
        relative_error=error,
        bound=bound,
        settings=prepared.facts | calibrated,
    )


def load(file: Path, case: Case) -> Prepared:
    """Load a file into the case's runtime."""
    return TABLE[case.runtime].load()(file, Settings(case.threads, case.dtype))


def load_same(folder: Path, case: Case, export: Export) -> Prepared:
    """Load the file of a record.

    Raises:
        UserError: it is not there, or not the same file.
    """
    file = folder / export.file
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UserError(
            f"cannot read {file}: {error.strerror}; run anew, with another --out"
        ) from error
    if hashlib.sha256(data).hexdigest() != export.sha256:
        raise UserError(f"{file} is not what was exported; run anew, with another --out")
    return load(file, case)


def relative_error(reference: object, output: object) -> float:
    """Return the largest difference between outputs, as a share of the largest reference value.

    Of several outputs, that of the one where it is largest; infinity where their number or shapes
    differ.
    """
    pairs = [tree_leaves(reference), tree_leaves(output)]
    shapes = [[tuple(tensor.shape) for tensor in tensors] for tensors in pairs]
    if shapes[0] != shapes[1]:
        return float("inf")
    errors: list[float] = []
    for wanted, given in zip(*pairs, strict=True):
        difference = (given.double() - wanted.double()).abs().max().item()
        largest = wanted.double().abs().max().item()
        errors.append(difference / largest if largest else difference)
    return max(errors, key=lambda error: (error != error, error))  # noqa: PLR0124  NaN first
