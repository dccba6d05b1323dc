"""What the options of ``evaluate`` can be: all that is known before torch is imported."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args, get_type_hints

from attnbench import host_names
from attnbench.errors import UserError
from attnbench.files import require_folder
from attnbench.modules import SettingsError
from attnbench.plugins import resolve
from attnbench.records import case, evaluation, store
from attnbench.records.case import EXPORTED, LIMITS
from attnbench.records.evaluation import Evaluation
from attnbench.runtimes.table import TABLE, require_installed
from attnbench.text import unknown

DTYPES = get_args(get_type_hints(Evaluation)["dtype"])
RUNTIMES = ("eager", *(name for name in EXPORTED if "cpu" in TABLE[name].devices))
"""The runtimes that accuracy is counted in."""


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """The options of ``evaluate``; None where the user left one out."""

    weights: Path
    data: Path
    module: str | None = None
    host: str = "resnet50"
    key: str | None = None
    prefix: str | None = None
    device: str | None = None
    dtype: str = "float32"
    runtime: str = "eager"
    calibrate: Path | None = None
    """The folder of images that int8 is calibrated on."""
    channels_last: bool = False
    batch_size: int = 32
    image_size: int = 224
    threads: int | None = None
    workers: int | None = None
    annotations: Path | None = None
    """COCO-format annotations of a detector's images, which lie in ``data``."""


def checked(options: EvaluationOptions) -> EvaluationOptions:
    """Return valid options with names in their own case; paths are those of existing files.

    Raises:
        UserError: an option out of range, a file or folder that is not there.
        SettingsError: a module or host that is unknown.
    """
    host = host_names.written(options.host)
    if host in host_names.DETECTORS and not host.endswith("_backbone"):
        raise UserError(f"{host} is no classifier; a detector is evaluated with --annotations FILE")
    if host in host_names.TORCHVISION:
        known = ", ".join(host_names.CLASSIFIERS)
        raise UserError(f"evaluate does not read the weights of {host}; hosts it reads: {known}")
    if host not in host_names.CLASSIFIERS:
        raise SettingsError(unknown("classifier", options.host, host_names.CLASSIFIERS))
    return settled(options, host)


def settled(options: EvaluationOptions, host: str) -> EvaluationOptions:
    """Return valid options of a host, which has been checked.

    Raises:
        UserError: an option out of range, a file or folder that is not there.
        SettingsError: an unknown module.
    """
    dtype = case.written(options.dtype)
    if dtype not in DTYPES:
        raise UserError(unknown("dtype", options.dtype, DTYPES))
    for option, value, (least, most) in (
        ("batch_size", options.batch_size, LIMITS["batch_size"]),
        ("image_size", options.image_size, (host_names.TOTAL_STRIDE, LIMITS["image_size"][1])),
        ("threads", 1 if options.threads is None else options.threads, LIMITS["threads"]),
        ("workers", options.workers or 0, (0, LIMITS["threads"][1])),
    ):
        if not least <= value <= most:
            raise UserError(f"{option} must be at least {least} and at most {most}, not {value}")
    runtime = case.written(options.runtime)
    if runtime not in RUNTIMES:
        raise UserError(unknown("runtime", options.runtime, RUNTIMES))
    _require_executable(options, runtime, dtype)
    module = None if options.module is None else resolve.written(options.module)
    if module is not None:
        resolve.parse(module).origin()  # its file is there
    weights, data = Path(options.weights), Path(options.data)
    require_there(weights, data)
    options = replace(options, dtype=dtype, runtime=runtime, module=module)
    return replace(options, host=host, weights=weights, data=data)


def _require_executable(options: EvaluationOptions, runtime: str, dtype: str) -> None:
    """Refuse settings that the runtime cannot execute, and int8 without images or the reverse.

    Raises:
        UserError: it is so.
    """
    row = TABLE[runtime]
    if dtype not in row.dtypes:
        raise UserError(f"{runtime} does not compute in {dtype}; known: {', '.join(row.dtypes)}")
    if row.exports and (options.device not in {None, "cpu"} or options.channels_last):
        raise UserError(f"{runtime} runs on the CPU, in a layout of its own")
    if (dtype == "int8") != (options.calibrate is not None):
        raise UserError("--dtype int8 needs --calibrate DIR, images to take ranges from; no other")
    if options.calibrate is not None and not options.calibrate.is_dir():
        raise UserError(f"cannot take images from {options.calibrate}: no such folder")
    if row.exports:
        require_installed(runtime)
    if dtype == "int8":
        require_installed("onnxruntime")


def require_place(out: Path | None) -> None:
    """Refuse a folder for the record that holds something else, or cannot be written to.

    Raises:
        UserError: it is one, or it cannot be read.
    """
    if out and store.has_files(out) and not (evaluation.exist(out) or store.runs_in(out)):
        raise UserError(f"{out} holds other files, no run and no evaluations; choose another --out")
    require_folder(out or Path("reports"))


def require_there(file: Path, data: Path) -> None:
    """Refuse a file or a folder of images that cannot be read.

    Raises:
        UserError: one of them.
    """
    try:
        if file.is_fifo():  # to open it would wait for whoever writes to it
            raise ValueError("it is a pipe and no file")
        with file.open("rb"):
            pass
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {file}: {_reason(error)}") from error
    try:
        os.scandir(data).close()
    except (OSError, ValueError) as error:
        raise UserError(f"cannot take images from {data}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
