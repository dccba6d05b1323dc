"""A network's file: exported once, held against the network itself, described."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.metadata import version
from math import isfinite
from pathlib import Path
from time import perf_counter

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from attnbench._version import __version__
from attnbench.errors import UserError
from attnbench.files import write_whole
from attnbench.records.case import FULL_BITS, RUNTIMES, Case
from attnbench.records.jsonl import writing_to
from attnbench.records.schema import Environment, Export
from attnbench.runtimes import onnx_file
from attnbench.runtimes.prepared import Prepared, Settings
from attnbench.runtimes.table import TABLE

BOUND = {"float32": 1e-3, "TF32": 2e-2, "float16": 2e-2, "bfloat16": 5e-2, "int8": 0.5}
"""By dtype, float32 with products in TF32 apart: the most that an output may differ from eager
PyTorch's in float32, as a share of the largest; in a dtype of half precision also up to twice what
eager PyTorch's own outputs in it differ by. In float32 the networks of the published runs differ by
2e-6 to 4e-5. In bfloat16 an untrained ResNet-50 differs by 16% in eager PyTorch itself, by 14% in
OpenVINO (``attnbench export --runtime openvino --dtype bfloat16`` prints the latter, and the bound,
twice the former). In int8 the error depends on the images that it was calibrated on: what is beyond
this bound is no approximation any more. Those of TF32, whose mantissa is that of float16, and of
float16 are from the length of these mantissas: nothing here has measured them.

As rounding can hide a wrong export, a file in float32 that is executed in another dtype, or from
which the int8 file is made, is held in float32 first."""

TIMES_OWN = 2.0
"""Half precision rounds elsewhere in each runtime, by about as much."""

HALVES = ("bfloat16", "float16")

INT8 = "attnbench.runtimes.int8.quantise"
"""Imported only for int8: OpenVINO alone needs no ONNX Runtime."""

VERSIONS = ("torch", "torchvision", "onnx", "onnxscript")
"""The packages that a file depends on."""


class OtherAnswersError(Exception):
    """What the runtime computes is not what the network computes."""


@dataclass(frozen=True)
class Images:
    """What a network is exported, compared and calibrated on, in float32."""

    compared: Sequence[torch.Tensor]
    """One of them at least is not the example: on that it shows if something was copied from the
    example into the file as a constant."""
    calibration: Sequence[torch.Tensor]
    """For int8."""
    calibrated_on: str = ""
    """What these are, in words."""
    example: torch.Tensor | None = None
    """What is exported, and timed; None for the first of those compared."""


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
    def file_names(self) -> tuple[str, ...]:
        """The names of the files that lead to the one that is executed, which is the last.

        Each with the digest of all that determines it: the exported network; the same in int8; the
        runtime's own.
        """
        case, row = self.case, TABLE[self.case.runtime]
        typed = row.typed and case.dtype not in {"float32", "int8"}
        names = [self._name(f"-{case.dtype}.onnx" if typed else ".onnx", VERSIONS)]
        if case.dtype == "int8":
            kind = "-int8-symmetric.onnx" if row.typed else "-int8.onnx"
            bits = import_module(INT8).weight_bits(symmetric=row.typed)
            # A file of 8 bits keeps the name that it had when there was no other.
            more = (f"weights of {bits} bits",) if bits < FULL_BITS else ()
            names.append(self._name(kind, (*VERSIONS, "onnxruntime"), case.calibration, *more))
        if row.builds:
            names.append(self._name(f".{case.runtime}", (), names[-1], *row.built_for(case.device)))
        return tuple(names)

    @property
    def file_name(self) -> str:
        """The name of the file that is executed."""
        return self.file_names[-1]

    def _name(self, ending: str, packages: Sequence[str], *more: object) -> str:
        case = self.case
        determined = {
            "network": [case.host, self.host_source, self.variant, self.source],
            "places": [case.stages, case.blocks, case.at, case.replace],
            "weights": case.seed,
            "input": case.input_shape,
            "versions": [__version__, *map(version, packages)],
            "more": more,
        }
        digest = hashlib.sha256(json.dumps(determined, sort_keys=True).encode()).hexdigest()
        host = re.sub(r"[^\w.-]+", "-", Path(case.host).name)  # which may be a file's function
        return f"{host}-{digest[:16]}{ending}"


def make(folder: Path, subject: Subject, network: nn.Module, images: Images) -> Export:
    """Export a network to a folder unless its file is there; load and describe it.

    The network may be in another dtype afterwards.

    Raises:
        NotExportedError: it cannot be exported.
        OtherAnswersError: its outputs differ from eager PyTorch's by more than the bound.
        UserError: the file cannot be written.
    """
    case, row = subject.case, TABLE[subject.case.runtime]
    with torch.inference_mode():
        wanted = [network(image) for image in images.compared]
    dtype = "TF32" if row.tf32 and case.dtype == "float32" else case.dtype
    bound = most_allowed(network, images.compared, wanted, dtype)
    start = perf_counter()
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
    # By an earlier call that was killed as it wrote.
    for cut_off in (*folder.glob(".*.onnx.*"), *folder.glob(f".*.{case.runtime}.*")):
        cut_off.unlink()
    file = folder / subject.file_name
    made = not file.exists()
    if made:
        _write(folder, subject, network, images)
    exported_s = perf_counter() - start if made else None
    pairs = [*zip(images.compared, wanted, strict=True)]
    if case.dtype != "float32" and not row.typed:
        same = replace(case, dtype="float32", calibration="")
        in_float32 = replace(subject, case=same)
        if not (folder / in_float32.file_name).exists():  # deleted since
            _write(folder, in_float32, network, images)
        held(load(folder / in_float32.file_name, same), pairs, same, BOUND["float32"])
    start = perf_counter()
    prepared = load(file, case)
    loaded_s = perf_counter() - start
    error = held(prepared, pairs, case, bound)
    data = file.read_bytes()
    calibrated: Environment = {}
    if case.dtype == "int8":
        calibrated["calibration"] = images.calibrated_on
        calibrated["weight_bits"] = import_module(INT8).weight_bits(symmetric=row.typed)
    operators = prepared.operators() if prepared.operators else {}
    return Export(
        file=file.name,
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        seconds=exported_s,
        load_s=loaded_s,
        operators=operators,
        nodes=sum(operators.values()),
        relative_error=error,
        bound=bound,
        settings=prepared.facts | calibrated,
    )


def most_allowed(
    network: nn.Module, images: Sequence[torch.Tensor], wanted: Sequence[object], dtype: str
) -> float:
    """Return the bound for a network in a dtype, or in ``TF32``, whose float32 outputs are wanted.

    What is off by half is no approximation in half precision either.
    """
    bound = BOUND[dtype]
    if dtype not in HALVES:
        return bound
    return max(bound, min(TIMES_OWN * own_error(network, images, wanted, dtype), BOUND["int8"]))


def held(
    prepared: Prepared, pairs: Sequence[tuple[torch.Tensor, object]], case: Case, bound: float
) -> float:
    """Return by how much outputs differ from what is wanted, of pairs of an image and that.

    Raises:
        OtherAnswersError: by more than the bound.
    """
    with torch.inference_mode():
        # One after the other: a runtime may return the same memory every time.
        error = worst(
            relative_error(reference, prepared.call(image.to(case.device)))
            for image, reference in pairs
        )
    if not error <= bound:  # NaN is no answer either
        raise OtherAnswersError(
            f"{RUNTIMES[case.runtime]} in {case.dtype} gives other outputs than eager PyTorch: "
            f"they differ by {error:.3%} of the largest, and {bound:.3%} is allowed"
        )
    return error


def worst(errors: Iterable[float]) -> float:
    """Return the largest error; NaN where one is."""
    return max(errors, key=lambda error: (error != error, error))  # noqa: PLR0124


def own_error(
    network: nn.Module, images: Sequence[torch.Tensor], wanted: Sequence[object], dtype: str
) -> float:
    """Return by how much eager PyTorch's own outputs in a dtype differ from those in float32.

    Zero where they are not finite, or the dtype is not computed in on the CPU.
    """
    wide = getattr(torch, dtype)
    try:
        rounded = deepcopy(network).to(wide)
        with torch.inference_mode():
            outputs = [rounded(image.to(wide)) for image in images]
    except Exception:  # of the user's module as well: it only widens a bound
        return 0.0
    error = worst(map(relative_error, wanted, outputs))
    return error if isfinite(error) else 0.0


def _write(folder: Path, subject: Subject, network: nn.Module, images: Images) -> None:
    """Write those of a subject's files that are not there, each from the one before it."""
    case, row = subject.case, TABLE[subject.case.runtime]
    exported, *later = (folder / name for name in subject.file_names)
    if not exported.exists():
        dtype = case.dtype if row.typed and case.dtype != "int8" else "float32"
        example = images.compared[0] if images.example is None else images.example
        write_whole(exported, onnx_file.export(network, example, dtype))
    before = exported
    if case.dtype == "int8":
        file = later.pop(0)
        if not file.exists():
            int8 = import_module(INT8)
            write_whole(file, int8.quantised(before, images.calibration, symmetric=row.typed))
        before = file
    for file in later:
        write_whole(file, row.build()(before, _settings(case)))


def _settings(case: Case) -> Settings:
    return Settings(case.threads, case.dtype, case.device)


def load(file: Path, case: Case) -> Prepared:
    """Load a file into the case's runtime."""
    return TABLE[case.runtime].load()(file, _settings(case))


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
    for wanted, given in zip(*pairs, strict=True):  # the given may lie on a GPU
        difference = (given.cpu().double() - wanted.double()).abs().max().item()
        largest = wanted.double().abs().max().item()
        errors.append(difference / largest if largest else difference)
    return worst(errors)
