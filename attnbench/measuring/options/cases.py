"""The configurations that options ask for, and combinations that no machine can measure."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

from attnbench import host_names
from attnbench.errors import UserError
from attnbench.measuring.options.valid import valid
from attnbench.records import device, image_size
from attnbench.records.case import CASE_OPTIONS, GRID, Case, RunOptions
from attnbench.records.variants import STAGES
from attnbench.runtimes import table


def cases_of(options: RunOptions) -> Iterable[Case]:
    """Yield every configuration of options that are all stated.

    Raises:
        UserError: a value that its option does not know.
    """
    values = {name: getattr(options, name) for name in CASE_OPTIONS}
    for chosen in product(*(values[name] for name in GRID)):
        of_case = values | dict(zip(GRID, chosen, strict=True))
        if of_case["dtype"] != "int8":
            of_case["calibration"] = ""  # the others of a grid take no ranges
        yield valid(Case, of_case)


def check_case(case: Case) -> None:
    """Refuse a combination of options that cannot be measured on any machine.

    Raises:
        UserError: it is one.
    """
    stride = host_names.TOTAL_STRIDE if case.host in host_names.STRIDED else 1
    if min(image_size.sides(case.image_size)) < stride:
        raise UserError(
            f"image_size {image_size.option(case.image_size)} is too small: {case.host} divides "
            f"it by {stride}, so it must be at least {stride}"
        )
    if host_names.is_detector(case.host) and case.mode == "training":
        raise UserError(
            f"{case.host} has no --mode training: what its step does depends on the objects that "
            "it is shown, so there is no fixed work to time"
        )
    if case.host in host_names.SEGMENTATION and case.mode == "training":
        raise UserError(
            f"{case.host} has no --mode training: it returns maps, and a step takes its loss from "
            "logits (batch, classes)"
        )
    if case.at and case.replace:
        raise UserError("--at and --replace both say where the module stands; leave one out")
    if case.cudnn_benchmark and device.kind_of(case.device) != "cuda":
        raise UserError("--cudnn-benchmark needs a CUDA device")
    if case.isolated and case.stages != STAGES:
        raise UserError("--isolated measures all stages; leave --stages out")
    if case.autocast:
        _check_autocast(case)
    if case.isolated and case.mode == "training":
        raise UserError("--isolated times the eager forward: no --mode training")
    table.check(case)


AUTOCAST_ON = {"amp": ("cpu", "cuda", "xpu"), "amp-float16": ("cuda",)}
"""Kinds of devices by dtype: where torch casts to it, and people train so."""


def _check_autocast(case: Case) -> None:
    """Refuse autocast where a device or a run of modules alone does not have it.

    Raises:
        UserError: it is so.
    """
    able = AUTOCAST_ON[case.dtype]
    if device.kind_of(case.device) not in able:
        raise UserError(f"--dtype {case.dtype} runs on {', '.join(able)}, not on {case.device}")
    if case.isolated:
        raise UserError(
            f"--isolated has no --dtype {case.dtype}: a whole network decides what is cast; "
            f"use --dtype {case.autocast}"
        )
    if case.cuda_graph and case.mode == "training" and case.autocast == "float16":
        raise UserError(
            f"--dtype {case.dtype} has no --cuda-graph in training: the gradient scaler asks the "
            "device after every step"
        )
