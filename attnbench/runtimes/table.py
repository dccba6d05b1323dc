"""The runtimes, and what each of them can execute: all that is known before torch is imported."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

from attnbench.errors import UserError
from attnbench.records.case import AUTOCAST, RUNTIMES, Case
from attnbench.records.device import kind_of
from attnbench.records.run import MOVES
from attnbench.records.schema import Environment

if TYPE_CHECKING:
    from attnbench.runtimes.prepared import Build, Load, Prepare

RENEW_EVERY = 10
"""Of the moves of a step's tensors, those at which a file's network is made anew: that takes longer
than the rounds between two of them."""


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """A row: where a runtime is written, what it needs, and what it can execute."""

    home: str
    """The file in this folder with ``prepare``, from a network, or ``load``, from its file."""
    captures: bool = False
    """Whether whole steps are captured as CUDA graphs."""
    starts: bool = False
    """Whether it has a ``start``: what it does once a process, and no network's seconds hold."""
    packages: tuple[str, ...] = ()
    """What has to be installed; a runtime that needs some executes a file that is exported once."""
    extra: str = ""
    """The suite's extra that installs them."""
    builds: bool = False
    """Whether it executes a file of its own, which its ``build`` makes of the ONNX file, for what
    ``built_for`` returns."""
    typed: bool = False
    """Whether it computes in the dtypes that its file states, and int8 in symmetric ranges alone:
    then there is an ONNX file for each dtype. Else there is one, in float32, and one in int8."""
    tf32: bool = False
    """Whether its products in float32 may use TF32."""
    dtypes: tuple[str, ...] = ("float32", "bfloat16", "float16", *AUTOCAST)
    devices: tuple[str, ...] = ("cpu", "cuda", "xpu", "mps")
    """Kinds of devices: see ``records.device``."""

    @property
    def exports(self) -> bool:
        """Whether it executes a file that a network is exported to."""
        return bool(self.packages)

    def prepare(self) -> Prepare:
        """Import the runtime and return its function that makes a network executable."""
        return cast("Prepare", import_module(f"attnbench.runtimes.{self.home}").prepare)

    def start(self, device: str) -> None:
        """Start what the first network of a process would else wait for, on the run's device."""
        if self.starts:
            import_module(f"attnbench.runtimes.{self.home}").start(device)

    def build(self) -> Build:
        """Import the runtime and return its function that makes its own file of an ONNX file."""
        return cast("Build", import_module(f"attnbench.runtimes.{self.home}").build)

    def built_for(self, device: str) -> list[object]:
        """Return what a file of its own is valid for, on a device."""
        if not self.builds:
            return []
        return list(import_module(f"attnbench.runtimes.{self.home}").built_for(device))

    def load(self) -> Load:
        """Import the runtime and return its function that makes a file executable."""
        return cast("Load", import_module(f"attnbench.runtimes.{self.home}").load)


ALONE = ("eager", "cuda-graph")
"""The runtimes of modules alone."""

_CPU = ("cpu",)
_EXPORTER = ("onnx", "onnxscript")

TABLE: dict[str, Runtime] = {
    "eager": Runtime(home="eager"),
    "compile": Runtime(home="torch_compile", starts=True),
    "cuda-graph": Runtime(home="eager", captures=True, devices=("cuda",)),
    "compile+cuda-graph": Runtime(
        home="torch_compile", captures=True, starts=True, devices=("cuda",)
    ),
    "onnxruntime": Runtime(
        home="onnx_runtime",
        packages=("onnxruntime", *_EXPORTER),
        extra="onnxruntime",
        dtypes=("float32", "int8"),
        devices=_CPU,
    ),
    "openvino": Runtime(
        home="open_vino",
        packages=("openvino", *_EXPORTER),
        extra="openvino",
        dtypes=("float32", "bfloat16", "int8"),
        devices=_CPU,
    ),
    "tensorrt": Runtime(
        home="tensor_rt",
        packages=("tensorrt", *_EXPORTER),
        extra="tensorrt",
        builds=True,
        typed=True,
        tf32=True,
        dtypes=("float32", "bfloat16", "float16", "int8"),
        devices=("cuda",),
    ),
}


def check(case: Case) -> None:
    """Refuse a case that its runtime cannot execute.

    Raises:
        UserError: its dtype, device or mode, or a package is missing.
    """
    name, runtime = case.runtime, TABLE[case.runtime]
    if case.isolated and name not in ALONE:
        raise UserError(
            "--isolated times the eager forward, also captured as a CUDA graph: no --compile, no "
            f"--runtime but {' and '.join(ALONE)}"
        )
    kind = kind_of(case.device)
    if runtime.captures and kind not in runtime.devices:
        raise UserError("--cuda-graph needs a CUDA device")
    if kind not in runtime.devices and runtime.devices == ("cuda",):
        raise UserError(f"{RUNTIMES[name]} needs an NVIDIA GPU, and --device cuda")
    if kind not in runtime.devices:
        raise UserError(f"{RUNTIMES[name]} runs on {runtime.devices[0]} here: --device cpu")
    if case.dtype not in runtime.dtypes:
        able = [other for other, row in TABLE.items() if case.dtype in row.dtypes]
        raise UserError(
            f"{RUNTIMES[name]} does not compute in {case.dtype} here, only in "
            f"{', '.join(runtime.dtypes)}; --runtime with {case.dtype}: {', '.join(able)}"
        )
    if not runtime.exports:
        return
    if case.mode == "training":
        raise UserError(f"{RUNTIMES[name]} has no --mode training")
    if case.channels_last:
        raise UserError(f"{RUNTIMES[name]} chooses the layout itself: leave --channels-last out")
    require_installed(name)
    if case.dtype == "int8":
        require_installed("onnxruntime")  # whose tool quantises the files


def require_installed(name: str) -> None:
    """Refuse a runtime whose packages are missing.

    Raises:
        UserError: one is.
    """
    missing = [package for package in TABLE[name].packages if find_spec(package) is None]
    if missing:
        raise UserError(
            f"{RUNTIMES[name]} needs {', '.join(missing)}, not installed here: "
            f"python -m pip install -e '.[{TABLE[name].extra}]'"
        )


def device_for(names: Iterable[str], device: str) -> str:
    """Return the device where all of these runtimes run on it, else the CPU."""
    rows = [TABLE[name] for name in names if name in TABLE]
    return device if all(kind_of(device) in row.devices for row in rows) else "cpu"


def facts(case: Case, moves_every: object) -> Environment:
    """Return what a case's runtime adds to the facts of machine and software, or changes in them.

    ``moves_every``: rounds after which tensors are moved.
    """
    runtime = TABLE[case.runtime]
    if not runtime.exports:
        return {}
    every = moves_every * RENEW_EVERY if isinstance(moves_every, int) else None
    return versions(case.runtime) | {MOVES: every}


def versions(name: str) -> Environment:
    """Return the versions of a runtime's packages."""
    return {package: _version(package) for package in TABLE[name].packages}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
