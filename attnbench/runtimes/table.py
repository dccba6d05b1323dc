"""The runtimes, and what each of them can execute: all that is known before torch is imported."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, cast

from attnbench.errors import UserError
from attnbench.records.case import Case

if TYPE_CHECKING:
    from attnbench.runtimes.prepared import Prepare

HALF = ("float32", "bfloat16", "float16")


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """A row: where a runtime is written, what it needs, and what it can execute."""

    home: str
    """The file in this folder whose ``prepare`` makes a network executable."""
    captures: bool = False
    """Whether whole steps are captured as CUDA graphs."""
    dtypes: tuple[str, ...] = HALF
    modes: tuple[str, ...] = ("inference", "training")
    devices: tuple[str, ...] = ("cpu", "cuda")

    def prepare(self) -> Prepare:
        """Import the runtime and return its function that makes a network executable."""
        return cast("Prepare", import_module(f"attnbench.runtimes.{self.home}").prepare)


TABLE: dict[str, Runtime] = {
    "eager": Runtime(home="eager"),
    "compile": Runtime(home="torch_compile"),
    "cuda-graph": Runtime(home="eager", captures=True, devices=("cuda",)),
    "compile+cuda-graph": Runtime(home="torch_compile", captures=True, devices=("cuda",)),
}


def check(case: Case) -> None:
    """Refuse a case that its runtime cannot execute.

    Raises:
        UserError: its device cannot be.
    """
    runtime = TABLE[case.runtime]
    if case.device not in runtime.devices and runtime.captures:
        raise UserError("--cuda-graph needs a CUDA device")
    if case.isolated and case.runtime != "eager":
        raise UserError(
            "--isolated times the eager forward: no --mode training, --compile or --cuda-graph"
        )
